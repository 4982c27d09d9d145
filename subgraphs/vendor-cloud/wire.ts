/**
 * What a vendor's cloud sends, typed. Names and revisions are the contract's (schema/contract); this file finds records in
 * bodies. No other folder sees a vendor's own names.
 *
 * @see the vendor contract, sections 3 to 5
 */
import { z } from 'zod';
import {
  ContractAccount,
  ContractDevice,
  ContractEvent,
  ContractPage,
  ContractSite,
} from '../../schema/contract/records.ts';
import { Id } from '../../schema/contract/fields.ts';
import type { Dialect } from './dialect.ts';

/** A vendor's record before it is read. Looked at and not copied: a record schema makes another one, name by name. */
export const RawRecord = z.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
export type RawRecord = z.infer<typeof RawRecord>;

/** A record as we read it, and as the vendor sent it. */
export interface Kept<T> {
  readonly value: T;
  readonly raw: RawRecord;
}

/** An entry of a page that cannot be used. */
export interface RejectedEntry {
  readonly nativeId: string | null;
  readonly reason: string;
}

export interface WirePage<T> {
  readonly items: readonly Kept<T>[];
  readonly rejected: readonly RejectedEntry[];
  /** Pages in all; null when the vendor does not tell. */
  readonly totalPages: number | null;
  readonly totalCount: number | null;
}

/** One line that names places and rules, never values. */
export function describeIssues(error: z.ZodError): string {
  const [first, ...others] = error.issues;
  const place = first?.path.join('.') ?? '';
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return `${place === '' ? 'the record' : place}: ${first?.message ?? 'is malformed'}${more}`;
}

export function accountSchema({ read }: Dialect) {
  return RawRecord.transform(read.account).pipe(ContractAccount);
}

function parseEntry<T>(
  entry: unknown,
  read: (raw: RawRecord) => unknown,
  schema: z.ZodType<T>,
): Kept<T> | RejectedEntry {
  const raw = RawRecord.safeParse(entry);
  if (!raw.success) return { nativeId: null, reason: 'the entry is not an object' };
  const record = read(raw.data);
  const parsed = schema.safeParse(record);
  if (parsed.success) return { value: parsed.data, raw: raw.data };
  const id = Id.safeParse(raw.data['device_id'] ?? raw.data['id']);
  return { nativeId: id.success ? id.data : null, reason: describeIssues(parsed.error) };
}

function pageSchema<T>(dialect: Dialect, read: (raw: RawRecord) => unknown, schema: z.ZodType<T>) {
  // Before there was pagination, vendors answered with the bare list.
  return z
    .union([RawRecord, z.array(z.unknown()).transform((items) => ({ items }))])
    .transform(dialect.read.page)
    .pipe(ContractPage)
    .transform(({ items, totalPages, totalCount }): WirePage<T> => {
      const entries = items.map((item) => parseEntry(item, read, schema));
      return {
        items: entries.filter((entry) => 'value' in entry),
        rejected: entries.filter((entry) => 'reason' in entry),
        totalPages,
        totalCount,
      };
    });
}

export function sitesPageSchema(dialect: Dialect) {
  return pageSchema(dialect, dialect.read.site, ContractSite);
}

export function inventoryPageSchema(dialect: Dialect) {
  return pageSchema(dialect, dialect.read.device, ContractDevice);
}

/** One event of a delivery. */
export function parseEvent(dialect: Dialect, raw: RawRecord) {
  return ContractEvent.safeParse(dialect.read.event(raw));
}

/** A registration at the vendor's webhook API. The secret is there right after registering, if at all. */
export const WireWebhook = z
  .object({
    id: Id.optional(),
    webhook_id: Id.optional(),
    url: z.string().optional().catch(undefined),
    secret: z.string().min(1).optional().catch(undefined),
    signing_secret: z.string().min(1).optional().catch(undefined),
  })
  .transform(({ id, webhook_id, url, secret, signing_secret }, context) => {
    const nativeId = id ?? webhook_id;
    if (nativeId !== undefined) return { nativeId, url: url ?? null, secret: secret ?? signing_secret ?? null };
    context.addIssue({ code: 'custom', message: 'a webhook has no id' });
    return z.NEVER;
  });
export type WireWebhook = z.infer<typeof WireWebhook>;

export const WireWebhooks = z.union([
  z.array(WireWebhook),
  z.object({ webhooks: z.array(WireWebhook) }).transform(({ webhooks }) => webhooks),
]);

export const WireToken = z.object({ access_token: z.string().min(1), expires_in: z.number().positive().optional() });
