// How a delivery carries its proof, per profile. What the proof covers and which secret made it is verifier.ts's part.
//
// @see Standard Webhooks specification, "Signature scheme"
import type { IncomingHttpHeaders } from 'node:http';
import type { SignatureProfile } from '../../schema/words.ts';

/** What a delivery offers as proof. */
export interface Proof {
  /** Seconds since the epoch as sent; null where the profile has none. */
  readonly timestamp: number | null;
  /** What the MAC covers before the body. */
  readonly prefix: string;
  /** 32 bytes each, at least one: any may match. */
  readonly macs: readonly Buffer[];
}

/** Standard Webhooks allows several for rotation; more than a few are work that somebody makes for us. */
const MAX_SIGNATURES = 8;
const MAX_HEADER_CHARACTERS = 4_096;
const MAC_BYTES = 32;

const TIMESTAMP = /^\d{1,12}$/;
// No dots: they separate the parts of what is signed.
const DELIVERY_ID = /^[\w:-]{1,128}$/;
const HEX_MAC = /^[0-9a-fA-F]{64}$/;
const BASE64_MAC = /^[A-Za-z0-9+/]{43}=$/;

/** @returns null when there is no such header, when there are several that disagree in form, or when it is too long */
function single(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_HEADER_CHARACTERS ? value : null;
}

function parseTimestamp(text: string | null): number | null {
  return text !== null && TIMESTAMP.test(text) ? Number(text) : null;
}

function hexMac(text: string): Buffer[] {
  return HEX_MAC.test(text) ? [Buffer.from(text, 'hex')] : [];
}

function base64Mac(text: string): Buffer[] {
  const mac = BASE64_MAC.test(text) ? Buffer.from(text, 'base64') : null;
  return mac?.length === MAC_BYTES ? [mac] : [];
}

/** @returns the MACs of `label<separator>value` items; null when there are too many, or none */
function labelled(header: string | null, label: string, separator: RegExp, read: (text: string) => Buffer[]) {
  const items = header?.split(separator) ?? [];
  if (items.length > MAX_SIGNATURES) return null;
  const macs = items.flatMap((item) => (item.startsWith(label) ? read(item.slice(label.length)) : []));
  return macs.length === 0 ? null : macs;
}

function contract(headers: IncomingHttpHeaders, isTimestampSigned: boolean): Proof | null {
  const text = single(headers, 'x-webhook-timestamp');
  const timestamp = parseTimestamp(text);
  const macs = labelled(single(headers, 'x-webhook-signature'), 'sha256=', /[\s,]+/, hexMac);
  if (timestamp === null || macs === null) return null;
  return { timestamp, prefix: isTimestampSigned ? `${text}.` : '', macs };
}

function standardWebhooks(headers: IncomingHttpHeaders): Proof | null {
  const id = single(headers, 'webhook-id');
  const text = single(headers, 'webhook-timestamp');
  const timestamp = parseTimestamp(text);
  const macs = labelled(single(headers, 'webhook-signature'), 'v1,', / +/, base64Mac);
  if (id === null || !DELIVERY_ID.test(id) || timestamp === null || macs === null) return null;
  return { timestamp, prefix: `${id}.${text}.`, macs };
}

function milestoneNative(headers: IncomingHttpHeaders): Proof | null {
  // The platform's text says hexadecimal, its examples are Base64.
  const read = (text: string) => [...base64Mac(text), ...hexMac(text)];
  const macs = labelled(single(headers, 'x-hub-signature-256'), 'sha256=', /[\s,]+/, read);
  return macs === null ? null : { timestamp: null, prefix: '', macs };
}

/** Profiles whose proof is a MAC over the body; PATH_SECRET has none and is the verifier's own case. */
export const PROOF_READERS: Readonly<
  Record<Exclude<SignatureProfile, 'PATH_SECRET'>, (headers: IncomingHttpHeaders) => Proof | null>
> = {
  CONTRACT_V1: (headers) => contract(headers, false),
  TIMESTAMPED_HMAC: (headers) => contract(headers, true),
  STANDARD_WEBHOOKS: standardWebhooks,
  MILESTONE_NATIVE: milestoneNative,
};
