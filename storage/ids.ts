import { createHash, hash, randomBytes } from 'node:crypto';

const RANDOM_BYTES = 12;

/** An opaque id that nobody can guess. @param prefix without the underscore, for example `org` */
export function newId(prefix: string): string {
  return `${prefix}_${randomBytes(RANDOM_BYTES).toString('hex')}`;
}

/** A device's id: the same for ever for (integration, native id), so that every subgraph can compute it without asking. */
export function deviceId(integrationId: string, nativeId: string): string {
  return `dev_${hash('sha256', `${integrationId}\0${nativeId}`, 'hex').slice(0, 32)}`;
}

/** A zone's id: the same for ever for (site, name), so that syncs need not look it up. */
export function zoneId(siteId: string, kind: string, name: string): string {
  return `zone_${createHash('sha256').update(siteId).update('\0').update(kind).update('\0').update(name).digest('hex').slice(0, 24)}`;
}

/** An event's id from its identity key. */
export function eventId(key: Uint8Array): string {
  return `evt_${Buffer.from(key).toString('hex')}`;
}

/** @returns the identity key, or null when it is not an event's id */
export function eventKey(id: string): Buffer | null {
  return /^evt_[0-9a-f]{32}$/.test(id) ? Buffer.from(id.slice(4), 'hex') : null;
}
