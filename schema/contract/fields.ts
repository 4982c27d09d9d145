// Single values of the vendor contract, read leniently: a vendor's slip in a nice-to-have must not cost a device.
import { z } from 'zod';

/** Longer ids are no ids; the bound keeps keys and indexes small. */
const MAX_ID_LENGTH = 200;
const MAX_TEXT_LENGTH = 500;
/** Below this a number of time is in seconds, above it in milliseconds: 10^11 s is the year 5138, 10^11 ms is 1973. */
const SECONDS_BELOW = 100_000_000_000;
/** 9999-12-31: the last day that RFC 3339 can write. */
const LAST_INSTANT = 253_402_300_799_999;

const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(?:([Zz])|([+-])(\d{2}):?(\d{2})?)$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

function isInCalendar(year: number, month: number, day: number): boolean {
  const at = new Date(Date.UTC(year, month - 1, day));
  return at.getUTCFullYear() === year && at.getUTCMonth() === month - 1 && at.getUTCDate() === day;
}

/**
 * Reads an instant as vendors write it: RFC 3339 in any zone (`+0200` and a space for `T` included), Unix seconds or
 * milliseconds. A time without a zone is nobody's time and is refused.
 *
 * @returns null when it is none of these
 */
export function readInstant(value: unknown): Date | null {
  if (typeof value === 'number' || (typeof value === 'string' && /^\d{9,14}$/.test(value))) {
    const number = Number(value);
    const ms = Math.round(number < SECONDS_BELOW ? number * 1_000 : number);
    return ms >= 0 && ms <= LAST_INSTANT ? new Date(ms) : null;
  }
  const parts = typeof value === 'string' ? INSTANT.exec(value.trim()) : null;
  if (parts === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const [fraction = '', , sign, offsetHours = '0', offsetMinutes = '0'] = parts.slice(7);
  if (!isInCalendar(year, month, day) || hour > 23 || minute > 59 || second > 60) return null;
  const offset = Number(offsetHours) * 60 + Number(offsetMinutes);
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return null;
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'));
  // A leap second is kept within its minute.
  const at =
    Date.UTC(year, month - 1, day, hour, minute, Math.min(second, 59), ms) - (sign === '-' ? -offset : offset) * 60_000;
  return at >= 0 && at <= LAST_INSTANT ? new Date(at) : null;
}

/** A day (midnight UTC) or an instant; null when it is neither. */
export function readDay(value: unknown): Date | null {
  return readInstant(typeof value === 'string' && DATE.test(value) ? `${value}T00:00:00Z` : value);
}

/** Text of one line, without control characters, cut at 500 characters; null when nothing is left. */
export function readText(value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const text = String(value)
    .replaceAll(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, MAX_TEXT_LENGTH);
  return text === '' ? null : text;
}

/** @returns the name itself when it is an IANA time zone that this runtime knows, else null */
export function readTimezone(value: unknown): string | null {
  if (typeof value !== 'string' || !/^[A-Za-z]/.test(value)) return null;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
    return value;
  } catch {
    return null;
  }
}

/** UUID of any version and variant, in the usual notation. */
export function isUuid(value: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value);
}

const CONTROL = /\p{Cc}/u;

/** An id: text, or a whole number that JSON carries exactly. Kept as text, never trimmed to something else. */
export const Id = z
  .union([z.string(), z.int()])
  .transform(String)
  .pipe(
    z
      .string()
      .min(1)
      .max(MAX_ID_LENGTH)
      .refine((id) => id.trim() === id && !CONTROL.test(id), 'has control characters or blanks around it'),
  );

function readAs<T>(read: (value: unknown) => T | null, what: string) {
  return z.unknown().transform((value, context): T => {
    const result = read(value);
    if (result !== null) return result;
    context.addIssue({ code: 'custom', message: what });
    return z.NEVER;
  });
}

export const Instant = readAs(readInstant, 'is not an instant with a time zone, for example 2026-02-04T14:32:00Z');

/** For nice-to-have members: what is absent or cannot be read is null. */
export function lenient<T>(read: (value: unknown) => T | null) {
  return z
    .unknown()
    .optional()
    .transform((value): T | null => read(value));
}

/** A word of the vendor's vocabulary: text, or a flag for members such as `online`. */
export function readWord(value: unknown): string | null {
  if (typeof value === 'boolean') return value ? 'online' : 'offline';
  return readText(value);
}

/** A finite number between the bounds; null otherwise. */
export function readNumber(min: number, max: number): (value: unknown) => number | null {
  return (value) => {
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    return typeof number === 'number' && number >= min && number <= max ? number : null;
  };
}
