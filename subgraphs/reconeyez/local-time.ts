/**
 * Times as the platform writes them: with an offset, as seconds or milliseconds since the epoch, or as the wall clock of
 * the device. A wall clock is only worth something where its zone is known, and once a year an hour of it comes twice.
 */

/** Before this no such platform existed: a clock that was never set says so. */
const EARLIEST = Date.UTC(2012, 0, 1);
/** Numbers from here on are milliseconds: as seconds they would be in the year 5138. */
const MILLISECONDS_FROM = 1e11;
const DAY_MS = 86_400_000;
/** A sender's clock may be a little ahead. */
const AHEAD_MS = 300_000;

const ISO = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d:?\d\d|UTC)?$/i;

export interface ReadTime {
  readonly at: Date;
  /** The zone that the wall clock was read in; null when the time said its offset itself. */
  readonly zone: string | null;
  /** `TWICE`: the hour that a change of clocks repeats; `NEVER`: one that it leaves out. */
  readonly doubt: 'TWICE' | 'NEVER' | null;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** @returns milliseconds to add to UTC at this instant */
function offsetOf(at: number, zone: string): number {
  let format = formats.get(zone);
  if (format === undefined) {
    const parts = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' } as const;
    format = new Intl.DateTimeFormat('en', { ...parts, second: 'numeric', hourCycle: 'h23', timeZone: zone });
    // Zones come from settings, which name IANA zones only: there are some hundreds.
    formats.set(zone, format);
  }
  const found = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const read = (type: Intl.DateTimeFormatPartTypes): number => found.get(type) ?? 0;
  const wall = Date.UTC(read('year'), read('month') - 1, read('day'), read('hour'), read('minute'), read('second'));
  return wall - Math.floor(at / 1_000) * 1_000;
}

/** @param wall the wall clock as if it were UTC, in milliseconds */
function readWallClock(wall: number, zone: string, receivedAt: number): ReadTime {
  const before = offsetOf(wall - DAY_MS, zone);
  const after = offsetOf(wall + DAY_MS, zone);
  const candidates = [...new Set([wall - before, wall - after])].filter((at) => at + offsetOf(at, zone) === wall);
  const [only, other] = candidates.toSorted((a, b) => a - b);
  if (only === undefined) return { at: new Date(wall - before), zone, doubt: 'NEVER' };
  if (other === undefined) return { at: new Date(only), zone, doubt: null };
  // It cannot have happened after it arrived; of two that can, the later one is nearer to its arrival.
  return { at: new Date(other <= receivedAt + AHEAD_MS ? other : only), zone, doubt: 'TWICE' };
}

/**
 * @param zone IANA zone of times without an offset; null: such times cannot be read
 * @returns null for what is no time, or one that no working clock can have said
 */
export function readTime(value: unknown, zone: string | null, receivedAt: Date): ReadTime | null {
  const read = readAny(value, zone, receivedAt.getTime());
  const isSound = read !== null && !Number.isNaN(read.at.getTime()) && read.at.getTime() >= EARLIEST;
  return isSound ? read : null;
}

function readAny(value: unknown, zone: string | null, receivedAt: number): ReadTime | null {
  if (typeof value === 'number' || (typeof value === 'string' && /^\d{9,14}(\.\d+)?$/.test(value))) {
    const number = Number(value);
    const at = new Date(Math.round(number >= MILLISECONDS_FROM ? number : number * 1_000));
    return { at, zone: null, doubt: null };
  }
  const match = typeof value === 'string' ? ISO.exec(value.trim()) : null;
  if (match === null) return null;
  const [, year, month, day, hour, minute, second = '00', fraction = '0', offset] = match;
  const milliseconds = Math.floor(Number(`0.${fraction}`) * 1_000);
  // Date.parse refuses the 31st of a short month and the 25th hour, which Date.UTC would turn into another day.
  const wall = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) + milliseconds;
  if (Number.isNaN(wall) || new Date(wall).getUTCDate() !== Number(day)) return null;
  if (offset === undefined) return zone === null ? null : readWallClock(wall, zone, receivedAt);
  return { at: new Date(wall - minutesOf(offset) * 60_000), zone: null, doubt: null };
}

function minutesOf(offset: string): number {
  const match = /^([+-])(\d\d):?(\d\d)$/.exec(offset);
  if (match === null) return 0;
  const [, sign, hours, minutes] = match;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}
