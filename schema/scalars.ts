import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';
import { GraphQLJSON, GraphQLURL } from 'graphql-scalars';

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;
const ISO_8601_DURATION = /^P(?!$)(?:(\d+)W)?(?:(\d+)D)?(?:T(?!$)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/;
const MS = { week: 604_800_000, day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1_000 };

/** @returns milliseconds since the epoch @throws GraphQLError when it is not an RFC 3339 instant */
export function parseInstant(value: unknown): number {
  const at = typeof value === 'string' && RFC_3339.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at))
    throw new GraphQLError('DateTime must be an RFC 3339 instant, for example 2026-02-04T14:32:00Z');
  return at;
}

/** Weeks to seconds; years and months have no fixed length and are refused. @returns milliseconds @throws GraphQLError */
export function parseDuration(value: unknown): number {
  const parts = typeof value === 'string' ? ISO_8601_DURATION.exec(value) : null;
  if (parts === null)
    throw new GraphQLError('Duration must be ISO 8601 in weeks, days, hours, minutes and seconds, for example PT15M');
  const [, weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts.map((part) => Number(part ?? 0));
  return weeks * MS.week + days * MS.day + hours * MS.hour + minutes * MS.minute + Math.round(seconds * MS.second);
}

/** @param ms not negative */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms) / MS.second;
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3_600);
  const minutes = Math.floor((seconds % 3_600) / 60);
  const rest = Math.round((seconds % 60) * 1_000) / 1_000;
  const time = `${hours ? `${hours}H` : ''}${minutes ? `${minutes}M` : ''}${rest ? `${rest}S` : ''}`;
  if (!days && !time) return 'PT0S';
  return `P${days ? `${days}D` : ''}${time ? `T${time}` : ''}`;
}

/** Any usual notation to `00:1b:44:11:3a:b7`; null when it is not a MAC address. */
export function normalizeMac(value: string): string | null {
  const digits = value.replaceAll(/[\s:.-]/g, '').toLowerCase();
  return /^[0-9a-f]{12}$/.test(digits) ? (digits.match(/../g) ?? []).join(':') : null;
}

function parseMac(value: unknown): string {
  const mac = typeof value === 'string' ? normalizeMac(value) : null;
  if (mac === null)
    throw new GraphQLError('MacAddress must have twelve hexadecimal digits, for example 00:1b:44:11:3a:b7');
  return mac;
}

function literal<T>(parse: (value: unknown) => T) {
  return (node: { kind: string; value?: unknown }): T => parse(node.kind === Kind.STRING ? node.value : undefined);
}

// In: RFC 3339 text to milliseconds. Out: milliseconds, as rows keep them, or a Date.
const DateTime = new GraphQLScalarType<number, string>({
  name: 'DateTime',
  serialize: (value) => {
    if (typeof value === 'number') return new Date(value).toISOString();
    if (value instanceof Date) return value.toISOString();
    return new Date(parseInstant(value)).toISOString();
  },
  parseValue: parseInstant,
  parseLiteral: literal(parseInstant),
});

// In: ISO 8601 to milliseconds. Out: milliseconds.
const Duration = new GraphQLScalarType<number, string>({
  name: 'Duration',
  serialize: (value) => formatDuration(typeof value === 'number' ? value : parseDuration(value)),
  parseValue: parseDuration,
  parseLiteral: literal(parseDuration),
});

const MacAddress = new GraphQLScalarType<string, string>({
  name: 'MacAddress',
  serialize: parseMac,
  parseValue: parseMac,
  parseLiteral: literal(parseMac),
});

/** Implementations of the shared scalars, as resolvers. */
export const scalars = { DateTime, Duration, MacAddress, JSON: GraphQLJSON, URL: GraphQLURL };
