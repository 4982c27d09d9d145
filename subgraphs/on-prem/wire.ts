/**
 * What an adapter on site sends, typed. The members are the vendor contract's (schema/contract), so that an adapter may
 * write either revision's names; the envelope is this file's.
 *
 * @see the vendor contract, section 5
 */
import { z } from 'zod';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import { createAliasReader } from '../../schema/contract/aliases.ts';
import { Id } from '../../schema/contract/fields.ts';
import { ContractDevice, ContractEvent } from '../../schema/contract/records.ts';
import type { OnPremSettings } from './settings.ts';

/** Members of a delivery: 20,000 devices of a dozen members. */
const MAX_KEYS = 300_000;
/** Parts of one list; more than this is no list. */
const MAX_PARTS = 1_000;

const RawRecord = z.record(z.string(), z.unknown());
type RawRecord = z.infer<typeof RawRecord>;

/** Which part of which list a delivery is; `{ "id", "part": 1, "parts": 1 }` is a whole one. */
const ListMark = z
  .object({ id: Id, part: z.int().min(1).max(MAX_PARTS), parts: z.int().min(1).max(MAX_PARTS) })
  .refine(({ part, parts }) => part <= parts, 'part is beyond parts');

export interface WireInventory {
  readonly devices: readonly ContractDevice[];
  readonly rejected: readonly { readonly nativeId: string | null; readonly reason: string }[];
  /** Null: the delivery does not say. */
  readonly list: z.infer<typeof ListMark> | null;
}

export interface WireEvent {
  readonly event: ContractEvent;
  readonly raw: RawRecord;
}

/** @throws DecodeError PARSE */
export function parseBody(body: Uint8Array): unknown {
  try {
    return parseJson(body, { maxKeys: MAX_KEYS });
  } catch (error) {
    if (error instanceof JsonGuardError) throw new DecodeError('PARSE', error.message, { cause: error });
    throw error;
  }
}

/** One line that names places and rules, never values. */
function describe(error: z.ZodError): string {
  const [first] = error.issues;
  const place = first?.path.join('.') ?? '';
  return `${place === '' ? 'the record' : place}: ${first?.message ?? 'is malformed'}`;
}

/** @returns null when it is no list of devices @throws DecodeError SCHEMA when its `list` cannot be read */
export function readInventory(body: unknown, { aliases }: OnPremSettings): WireInventory | null {
  const record = RawRecord.safeParse(body);
  if (!record.success || !Array.isArray(record.data['devices'])) return null;
  const mark = ListMark.nullish().safeParse(record.data['list']);
  if (!mark.success) throw new DecodeError('SCHEMA', `list: ${describe(mark.error)}`);
  const read = createAliasReader('device', aliases);
  const devices: ContractDevice[] = [];
  const rejected: { nativeId: string | null; reason: string }[] = [];
  for (const entry of record.data['devices']) {
    const raw = RawRecord.safeParse(entry);
    if (!raw.success) {
      rejected.push({ nativeId: null, reason: 'the entry is not an object' });
      continue;
    }
    const parsed = ContractDevice.safeParse(read(raw.data));
    const id = Id.safeParse(raw.data['id'] ?? raw.data['device_id']);
    if (parsed.success) devices.push(parsed.data);
    else rejected.push({ nativeId: id.success ? id.data : null, reason: describe(parsed.error) });
  }
  return { devices, rejected, list: mark.data ?? null };
}

/** A sign of life of the sender itself: it says nothing about devices. Its members are for people who read deliveries. */
const Heartbeat = z.object({ heartbeat: z.object({ sent_at: z.iso.datetime({ offset: true }) }) });

export function isHeartbeat(body: unknown): boolean {
  return Heartbeat.safeParse(body).success;
}

/** One event, a list of them, or an object that holds the list. @throws DecodeError SCHEMA */
export function readEvents(body: unknown, { aliases }: OnPremSettings): readonly WireEvent[] {
  const record = RawRecord.safeParse(body);
  const held = record.success ? record.data['events'] : body;
  const entries: readonly unknown[] = Array.isArray(held) ? held : [body];
  if (entries.length === 0) throw new DecodeError('SCHEMA', 'the delivery has no event');
  const read = createAliasReader('event', aliases);
  return entries.map((entry, index) => {
    const where = entries.length === 1 ? '' : `event ${index + 1} of ${entries.length}: `;
    const raw = RawRecord.safeParse(entry);
    if (!raw.success) throw new DecodeError('SCHEMA', `${where}it is not an object`);
    const parsed = ContractEvent.safeParse(read(raw.data));
    if (!parsed.success) throw new DecodeError('SCHEMA', `${where}${describe(parsed.error)}`);
    return { event: parsed.data, raw: raw.data };
  });
}
