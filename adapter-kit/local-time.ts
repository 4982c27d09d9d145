// Vendors that write local times without an offset: which instant was meant, and how sure one can be.
// Rules of the zones are those of the runtime's ICU (the IANA database).

/** What a clock on the wall showed. Months count from 1. */
export interface WallTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
}

export interface LocalInstant {
  readonly at: Date;
  /**
   * AMBIGUOUS: clocks were set back, this time came twice and the first one is given. SKIPPED: clocks were set forward,
   * no clock ever showed it, and it is read as if they had not been. Null: there is one such instant.
   */
  readonly doubt: 'AMBIGUOUS' | 'SKIPPED' | null;
}

/** No zone is further from UTC: looking a day around a wall time finds every offset that it can have. */
const DAY_MS = 86_400_000;
/** Zones are few, and making a formatter costs more than using it. */
const MAX_FORMATTERS = 200;

const formatters = new Map<string, Intl.DateTimeFormat>();

/** @throws RangeError for a zone that does not exist */
function formatterOf(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  if (formatters.size >= MAX_FORMATTERS) formatters.clear();
  formatters.set(zone, made);
  return made;
}

/** What a clock in this zone is ahead of UTC at an instant, in milliseconds. */
function offsetAt(zone: string, instant: number): number {
  const parts = new Map(
    formatterOf(zone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
  const shown = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  return shown - Math.floor(instant / 1_000) * 1_000;
}

/** Whether the runtime knows this IANA zone. */
export function isTimeZone(zone: string): boolean {
  try {
    formatterOf(zone);
    return true;
  } catch {
    return false;
  }
}

/**
 * The instant at which a clock in this zone showed this time.
 *
 * @param zone IANA, usually the site's
 * @throws RangeError for a zone that does not exist
 */
export function instantOf(wall: WallTime, zone: string): LocalInstant {
  const asUtc = utcOf(wall);
  const before = offsetAt(zone, asUtc - DAY_MS);
  const after = offsetAt(zone, asUtc + DAY_MS);
  const fitting = [...new Set([before, after])]
    .map((offset) => asUtc - offset)
    .filter((instant) => offsetAt(zone, instant) === asUtc - instant);
  const [first] = fitting;
  if (first === undefined) return { at: new Date(asUtc - before), doubt: 'SKIPPED' };
  return { at: new Date(Math.min(...fitting)), doubt: fitting.length > 1 ? 'AMBIGUOUS' : null };
}

const LOCAL = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|[+-]\d\d:?\d\d)?$/i;

/**
 * Reads an ISO 8601 date and time. What names its own offset needs no zone; everything else is a local time of the zone.
 *
 * @param zone IANA; null reads local times as UTC
 * @returns null for what is no such time
 * @throws RangeError for a zone that does not exist
 */
export function parseLocalTime(text: string, zone: string | null): LocalInstant | null {
  const match = LOCAL.exec(text.trim());
  if (match === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', offset] = match;
  const wall: WallTime = {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour),
    minute: Number(minute),
    second: Number(second),
    millisecond: Number(fraction.padEnd(3, '0').slice(0, 3)),
  };
  if (!isReal(wall)) return null;
  if (offset === undefined) return instantOf(wall, zone ?? 'UTC');
  return { at: new Date(utcOf(wall) - offsetOf(offset)), doubt: null };
}

function utcOf({ year, month, day, hour, minute, second, millisecond }: WallTime): number {
  return Date.UTC(year, month - 1, day, hour, minute, second, millisecond);
}

/** Date.UTC rolls 31 April over to 1 May: what comes back different was no date. */
function isReal(wall: WallTime): boolean {
  const date = new Date(utcOf(wall));
  return (
    date.getUTCFullYear() === wall.year &&
    date.getUTCMonth() + 1 === wall.month &&
    date.getUTCDate() === wall.day &&
    date.getUTCHours() === wall.hour &&
    date.getUTCMinutes() === wall.minute &&
    date.getUTCSeconds() === wall.second
  );
}

function offsetOf(text: string): number {
  if (text.toUpperCase() === 'Z') return 0;
  const digits = text.slice(1).replace(':', '');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return (text.startsWith('-') ? -minutes : minutes) * 60_000;
}
