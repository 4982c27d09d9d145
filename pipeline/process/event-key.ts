import { createHash } from 'node:crypto';
import type { EventDraft } from '../../adapter-kit/model.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const HASH_BYTES = 12;
const PREFIX_BYTES = 4;
const UINT32_MAX = 0xffff_ffff;

/** How long a repeated event is recognised: the longest retry schedule we know of lasts 75 hours. */
export const DEDUPE_DAYS = 7;

function prefixed(prefix: number, hash: Uint8Array): Buffer {
  const key = Buffer.alloc(PREFIX_BYTES + HASH_BYTES);
  key.writeUInt32BE(Math.min(Math.max(Math.floor(prefix), 0), UINT32_MAX));
  key.set(hash.subarray(0, HASH_BYTES), PREFIX_BYTES);
  return key;
}

/**
 * What makes two deliveries the same event: the vendor's id within the integration, or where the vendor gives none,
 * everything the event says. Neither depends on when or how it arrived.
 */
export function eventIdentity(integrationId: string, draft: EventDraft): Buffer {
  if (draft.vendorEventId !== null) return vendorEventIdentity(integrationId, draft.vendorEventId);
  const content = [
    draft.type,
    draft.vendorCode,
    draft.occurredAt.getTime(),
    draft.nativeOrgId,
    draft.nativeSiteId,
    draft.nativeDeviceId,
    draft.claim?.state ?? null,
    draft.summary,
    draft.details,
    draft.raw,
  ];
  return createHash('sha256').update(integrationId).update('\0content\0').update(JSON.stringify(content)).digest();
}

/** The identity of an event of which its vendor's id is known. */
export function vendorEventIdentity(integrationId: string, vendorEventId: string): Buffer {
  return createHash('sha256').update(integrationId).update('\0id\0').update(vendorEventId).digest();
}

/** The event's key in the log, and its id: minute of the event, then identity, so that index inserts stay local. */
export function eventKeyOf(identity: Uint8Array, occurredAt: number): Buffer {
  return prefixed(occurredAt / MINUTE_MS, identity);
}

/**
 * The key under which an event received at `receivedAt` is remembered. Its prefix is the day of receipt and not the
 * minute of the event: a vendor that sends one id again with another timestamp still sends the same event.
 */
export function dedupeKeyOf(identity: Uint8Array, receivedAt: number): Buffer {
  return prefixed(receivedAt / DAY_MS, identity);
}

/** A clock that was set back over midnight, or is behind that of another process: the event may be of tomorrow. */
const DAYS_AHEAD = 1;

/** The days of receipt under which an event that is received now may have been remembered, newest first. */
export function dedupeDaysToCheck(receivedAt: number): readonly number[] {
  const today = Math.floor(receivedAt / DAY_MS);
  return Array.from({ length: DAYS_AHEAD + DEDUPE_DAYS + 1 }, (_, days) => Math.max(0, today + DAYS_AHEAD - days));
}

/** What all keys of an event end in, in hex: whatever the instant before it. */
export function keyEndOf(identity: Buffer): string {
  return identity.toString('hex', 0, HASH_BYTES);
}

/** Every key under which the event may have been remembered within the last DEDUPE_DAYS, newest first. */
export function dedupeKeysToCheck(identity: Uint8Array, receivedAt: number): readonly Buffer[] {
  return dedupeDaysToCheck(receivedAt).map((day) => prefixed(day, identity));
}

/** The dedupe key of an event that is in the log. */
export function dedupeKeyOfLogged(event: { readonly key: Uint8Array; readonly received_at: number }): Buffer {
  return dedupeKeyOf(event.key.subarray(PREFIX_BYTES), event.received_at);
}
