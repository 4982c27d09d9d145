import { createHash } from 'node:crypto';

/** Where a timestamp is looked for: it stands near the beginning in every format we know, and bodies can be large. */
const SCANNED_BYTES = 2_048;
const KEY_BYTES = 16;
/** Milliseconds since the epoch. The ten bytes of hash behind them tell deliveries of one millisecond apart. */
const PREFIX_BYTES = 6;

const ISO_INSTANT = /(20\d\d)-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,3}))?)?/;
const UNIX_INSTANT = /(?<!\d)(1[5-9]\d{8}|2\d{9})(\d{3})?(?!\d)/;

/** The first instant in the bytes, whatever it means; 0 when there is none. Zones do not matter: it is no time to show. */
function instantIn(body: Uint8Array): number {
  const text = Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, SCANNED_BYTES)).toString('latin1');
  const iso = ISO_INSTANT.exec(text);
  if (iso !== null) {
    const [, year, month, day, hour, minute, second = '0', fraction = ''] = iso;
    const seconds = Date.UTC(
      Number(year),
      Number(month) - 1,
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    );
    return seconds + Number(fraction.padEnd(3, '0'));
  }
  const unix = UNIX_INSTANT.exec(text);
  return unix === null ? 0 : Number(unix[1]) * 1_000 + Number(unix[2] ?? 0);
}

/**
 * What makes two deliveries the same: integration and bytes. The instant in front is read from the bytes too, so that a
 * retry has the same key, and deliveries that come together lie side by side in the index. With keys that are only a
 * hash, or only exact to the minute, each insert changes another page of it, and writing those pages costs as much as
 * everything else that is done for a delivery.
 */
export function deliveryKey(integrationId: string, body: Uint8Array): Buffer {
  const hash = createHash('sha256').update(integrationId).update('\0').update(body).digest();
  const key = Buffer.allocUnsafe(KEY_BYTES);
  hash.copy(key, PREFIX_BYTES, 0, KEY_BYTES - PREFIX_BYTES);
  key.writeUIntBE(instantIn(body), 0, PREFIX_BYTES);
  return key;
}
