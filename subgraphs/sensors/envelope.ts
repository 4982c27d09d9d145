// What a listener hands to the inbox: the message as it came, and what was known of its sender when it came. A broker's
// messages carry neither time nor identity, so that two equal ones a minute apart would be one delivery without it.
import { z } from 'zod';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import { SENSOR_KINDS } from './words.ts';

export const DIALECTS = [
  'zigbee2mqtt',
  'zigbee2mqtt-bridge',
  'tasmota',
  'sparkplug',
  'frigate',
  'onvif-json',
  'onvif',
  'modbus',
  'connection',
] as const;
export type Dialect = (typeof DIALECTS)[number];

const id = z.string().min(1).max(500);

export const Envelope = z.object({
  sensors: z.literal(1),
  /** When it arrived, by our clock. */
  at: z.iso.datetime(),
  dialect: z.enum(DIALECTS),
  source: id,
  /** Topic, or what stands for it. */
  address: z.string().max(2_000),
  device: z.object({ nativeId: id, siteId: id, name: z.string(), kind: z.enum(SENSOR_KINDS).nullable() }),
  /** It says how things were when we connected. */
  isInitial: z.boolean(),
  /** Which of its readings are news; empty: it is a sign of life. */
  news: z.array(z.string().max(1_200)).max(1_000),
  /** What follows for devices that report through this one: their presence. */
  children: z.array(z.tuple([id, id, z.string(), z.string()])).max(200),
  /** Names of the aliases that the payload uses. */
  aliases: z.record(z.string(), z.string()),
  encoding: z.enum(['utf8', 'base64']),
  payload: z.string(),
});
export type Envelope = z.infer<typeof Envelope>;

export const MAX_CHILDREN = 200;
/** An envelope is to stay below what the inbox takes; a sensor's message is a few hundred bytes. */
export const MAX_PAYLOAD_BYTES = 128 * 1_024;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The payload as it came: text where it is UTF-8, else base64. */
export function encodePayload(payload: Uint8Array): Pick<Envelope, 'encoding' | 'payload'> {
  try {
    return { encoding: 'utf8', payload: utf8.decode(payload) };
  } catch {
    return { encoding: 'base64', payload: Buffer.from(payload).toString('base64') };
  }
}

export function payloadOf({ encoding, payload }: Pick<Envelope, 'encoding' | 'payload'>): Buffer {
  return Buffer.from(payload, encoding);
}

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return Buffer.from(JSON.stringify(envelope));
}

/** @throws DecodeError */
export function decodeEnvelope(body: Uint8Array): Envelope {
  const parsed = Envelope.safeParse(parseBody(body));
  if (!parsed.success) throw new DecodeError('SCHEMA', 'this is not a message of a sensor listener');
  return parsed.data;
}

/** JSON of somebody we do not trust. @throws DecodeError */
export function parseBody(body: Uint8Array): unknown {
  try {
    return parseJson(body);
  } catch (error) {
    if (error instanceof JsonGuardError) throw new DecodeError('PARSE', error.message);
    throw error;
  }
}
