// How a sender may have put timestamp, id and body together.
import { createHash } from 'node:crypto';
import type { SigningProfile } from './offered.ts';

/** What is known of a delivery beside its body. Texts as they stood in the headers; empty when they did not. */
export interface Surroundings {
  readonly timestamp: string;
  readonly id: string;
  /** Path and query, as requested. */
  readonly target: string;
}

export interface MessageForm {
  readonly id: string;
  /** Before and after the body. */
  readonly wrap: (around: Surroundings) => readonly [before: string, after: string];
  /** What takes the body's place; default the body. */
  readonly content?: (body: Buffer) => Buffer;
}

function before(text: (around: Surroundings) => string): MessageForm['wrap'] {
  return (around) => [text(around), ''];
}

const NOTHING: MessageForm['wrap'] = () => ['', ''];

function sha256Hex(body: Buffer): Buffer {
  return Buffer.from(createHash('sha256').update(body).digest('hex'));
}

function sha256Raw(body: Buffer): Buffer {
  return createHash('sha256').update(body).digest();
}

/** A timestamp of the other unit than the header's. */
export function inOtherUnit(timestamp: string): string {
  if (/^\d{13}$/.test(timestamp)) return timestamp.slice(0, -3);
  if (/^\d{9,10}$/.test(timestamp)) return `${timestamp}000`;
  const at = Date.parse(timestamp);
  return Number.isNaN(at) ? '' : String(Math.floor(at / 1_000));
}

/** What each profile signs, in the words of the others' `id`. */
export const SIGNED: Readonly<Record<SigningProfile, string>> = {
  CONTRACT_V1: 'body',
  TIMESTAMPED_HMAC: 'timestamp.body',
  STANDARD_WEBHOOKS: 'id.timestamp.body',
  MILESTONE_NATIVE: 'body',
};

/** The first three are profiles' own. */
export const MESSAGES: readonly MessageForm[] = [
  { id: 'body', wrap: NOTHING },
  { id: 'timestamp.body', wrap: before(({ timestamp }) => `${timestamp}.`) },
  { id: 'id.timestamp.body', wrap: before(({ id, timestamp }) => `${id}.${timestamp}.`) },
  { id: 'timestamp body, without a separator', wrap: before(({ timestamp }) => timestamp) },
  { id: 'timestamp:body', wrap: before(({ timestamp }) => `${timestamp}:`) },
  { id: 'timestamp|body', wrap: before(({ timestamp }) => `${timestamp}|`) },
  { id: 'timestamp,body', wrap: before(({ timestamp }) => `${timestamp},`) },
  { id: 'timestamp-body', wrap: before(({ timestamp }) => `${timestamp}-`) },
  { id: 'timestamp, line feed, body', wrap: before(({ timestamp }) => `${timestamp}\n`) },
  { id: 'v0:timestamp:body', wrap: before(({ timestamp }) => `v0:${timestamp}:`) },
  { id: 'v1.timestamp.body', wrap: before(({ timestamp }) => `v1.${timestamp}.`) },
  { id: 'body.timestamp', wrap: ({ timestamp }) => ['', `.${timestamp}`] },
  { id: 'body timestamp, without a separator', wrap: ({ timestamp }) => ['', timestamp] },
  { id: 'id.body', wrap: before(({ id }) => `${id}.`) },
  { id: 'timestamp.id.body', wrap: before(({ id, timestamp }) => `${timestamp}.${id}.`) },
  { id: 'id timestamp body, without separators', wrap: before(({ id, timestamp }) => id + timestamp) },
  { id: 'id:timestamp:body', wrap: before(({ id, timestamp }) => `${id}:${timestamp}:`) },
  {
    id: 'timestamp.body with the timestamp in another unit than its header',
    wrap: before(({ timestamp }) => `${inOtherUnit(timestamp)}.`),
  },
  {
    id: 'id.timestamp.body with the timestamp in another unit than its header',
    wrap: before(({ id, timestamp }) => `${id}.${inOtherUnit(timestamp)}.`),
  },
  { id: 'path body, without a separator', wrap: before(({ target }) => target) },
  { id: 'POST, path and body in lines', wrap: before(({ target }) => `POST\n${target}\n`) },
  {
    id: 'timestamp, POST, path and body without separators',
    wrap: before(({ timestamp, target }) => `${timestamp}POST${target}`),
  },
  { id: 'the hexadecimal SHA-256 of the body', wrap: NOTHING, content: sha256Hex },
  { id: 'the SHA-256 of the body', wrap: NOTHING, content: sha256Raw },
  {
    id: 'timestamp.hexadecimal SHA-256 of the body',
    wrap: before(({ timestamp }) => `${timestamp}.`),
    content: sha256Hex,
  },
];
