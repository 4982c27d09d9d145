import { createHash } from 'node:crypto';

/** Where a timestamp is looked for: it stands near the beginning in every format we know, and bodies can be large. */
const SCANNED_BYTES = 2_048;
const MINUTE_MS = 60_000;
const KEY_BYTES = 16;
const PREFIX_BYTES = 4;

const ISO_MINUTE = /(20\d\d)-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):([0-5]\d)/;
const UNIX_SECONDS = /(?<!\d)(1[5-9]\d{8}|2\d{9})(?:\d{3})?(?!\d)/;

function minuteOf(body: Uint8Array): number {
  const text = Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, SCANNED_BYTES)).toString('latin1');
  const iso = ISO_MINUTE.exec(text);
  if (iso !== null) {
    const [, year, month, day, hour, minute] = iso.map(Number);
    return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute) / MINUTE_MS;
  }
  const unix = UNIX_SECONDS.exec(text);
  return unix === null ? 0 : (Number(unix[1]) * 1_000) / MINUTE_MS;
}

/**
 * What makes two deliveries the same: integration and bytes. The minute in front is read from the bytes too, so that a
 * retry has the same key, and rows of the same hour lie side by side in the index: with keys that are only a hash each
 * insert touches another page, and the rate halves at a million rows.
 */
export function deliveryKey(integrationId: string, body: Uint8Array): Buffer {
  const hash = createHash('sha256').update(integrationId).update('\0').update(body).digest();
  const key = Buffer.allocUnsafe(KEY_BYTES);
  hash.copy(key, PREFIX_BYTES, 0, KEY_BYTES - PREFIX_BYTES);
  key.writeUInt32BE(Math.floor(minuteOf(body)) >>> 0);
  return key;
}
