/** Why untrusted bytes were not taken as JSON. */
export type JsonGuardReason =
  | 'NOT_UTF8'
  | 'TOO_DEEP'
  | 'TOO_MANY_KEYS'
  | 'FORBIDDEN_KEY'
  | 'DUPLICATE_KEY'
  | 'NOT_JSON';

export class JsonGuardError extends Error {
  override readonly name = 'JsonGuardError';
  readonly reason: JsonGuardReason;

  constructor(reason: JsonGuardReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface JsonGuardOptions {
  /** Nesting of objects and arrays; default 32. JSON.stringify and structuredClone overflow the stack far below what JSON.parse takes. */
  readonly maxDepth?: number;
  /** Members of all objects together; default 10,000, which is for one delivery. An inventory page needs more. */
  readonly maxKeys?: number;
  /** For signed text, where two readers must not see two values; default false: the last one wins. */
  readonly refuseDuplicateKeys?: boolean;
}

export const DEFAULT_MAX_DEPTH = 32;
export const DEFAULT_MAX_KEYS = 10_000;
/** Elements of all arrays, per key allowed: arrays of numbers have no keys and still cost memory. */
const ELEMENTS_PER_KEY = 10;

const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
/** Integers of this many digits may exceed 2^53 and lose digits as numbers. */
const UNSAFE_DIGITS = 16;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COLON = 0x3a;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;

/**
 * Parses JSON from somebody we do not trust. A scanner counts first, so that a bomb costs one pass and no memory; then
 * JSON.parse decides what is valid. A leading byte order mark is tolerated.
 *
 * Integers beyond 2^53 come back as text with all their digits (vendors use them as ids); `wire.ts` of such a vendor takes
 * `z.union([z.string(), z.number()])` there.
 *
 * @param body the bytes as received; their length is the caller's to bound
 * @throws JsonGuardError; its message names a place or a bound, never content
 */
export function parseJson(body: Uint8Array, options: JsonGuardOptions = {}): unknown {
  const text = decodeUtf8(body);
  const hasLongNumbers = scan(text, options);
  try {
    return hasLongNumbers ? JSON.parse(text, keepLongIntegers) : JSON.parse(text);
  } catch (error) {
    // V8's own message quotes the text around the fault: that is the payload, so it is no cause of ours.
    throw new JsonGuardError('NOT_JSON', `the ${body.length} bytes are not JSON${placeIn(error)}`);
  }
}

/** Where V8 says that reading stopped, which it does for texts that are not short. */
function placeIn(error: unknown): string {
  const message = error instanceof SyntaxError ? error.message : '';
  if (message.startsWith('Unexpected end')) return ': they end too early';
  const [, position] = /at position (\d{1,10})/.exec(message) ?? [];
  return position === undefined ? '' : `, from character ${position} on`;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(body: Uint8Array): string {
  try {
    return utf8.decode(body);
  } catch {
    throw new JsonGuardError('NOT_UTF8', 'the bytes are not UTF-8');
  }
}

function keepLongIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? '';
  return /^-?\d+$/.test(source) ? source : value;
}

/** Counts depth, keys and elements and looks at every key. @returns whether a number is long enough to lose digits */
function scan(text: string, options: JsonGuardOptions): boolean {
  const maxDepth = options.maxDepth ?? DEFAULT_MAX_DEPTH;
  const maxKeys = options.maxKeys ?? DEFAULT_MAX_KEYS;
  const seen: Set<string>[] | null = options.refuseDuplicateKeys === true ? [] : null;
  let depth = 0;
  let keys = 0;
  let elements = 0;
  let digits = 0;
  let hasLongNumbers = false;
  let stringStart = 0;
  let stringEnd = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= ZERO && code <= NINE) {
      digits += 1;
      if (digits >= UNSAFE_DIGITS) hasLongNumbers = true;
      continue;
    }
    digits = 0;
    switch (code) {
      case QUOTE:
        stringStart = at + 1;
        at = endOfString(text, stringStart);
        stringEnd = at;
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        depth += 1;
        if (depth > maxDepth) throw new JsonGuardError('TOO_DEEP', `nested deeper than ${maxDepth}`);
        seen?.push(new Set());
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        depth -= 1;
        seen?.pop();
        break;
      case COMMA:
        elements += 1;
        if (elements > maxKeys * ELEMENTS_PER_KEY)
          throw new JsonGuardError('TOO_MANY_KEYS', `more than ${maxKeys * ELEMENTS_PER_KEY} elements`);
        break;
      case COLON: {
        keys += 1;
        if (keys > maxKeys) throw new JsonGuardError('TOO_MANY_KEYS', `more than ${maxKeys} keys`);
        checkKey(text, stringStart, stringEnd, seen?.at(-1));
        break;
      }
      default:
    }
  }
  return hasLongNumbers;
}

/** @returns the index of the closing quote, or of the end of a text that has none (JSON.parse refuses it then) */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start);
  while (end !== -1) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

function checkKey(text: string, start: number, end: number, siblings: Set<string> | undefined): void {
  const first = text.charCodeAt(start);
  const isSuspect = first === 0x5f || first === 0x63 || first === 0x70;
  const raw = text.slice(start, end);
  const hasEscape = raw.includes('\\');
  if (!isSuspect && !hasEscape && siblings === undefined) return;
  const key = hasEscape ? unescape(raw) : raw;
  if (FORBIDDEN_KEYS.has(key)) throw new JsonGuardError('FORBIDDEN_KEY', `the key "${key}" is not allowed`);
  if (siblings === undefined) return;
  if (siblings.has(key)) throw new JsonGuardError('DUPLICATE_KEY', 'an object has the same key twice');
  siblings.add(key);
}

function unescape(raw: string): string {
  try {
    const key: unknown = JSON.parse(`"${raw}"`);
    return String(key);
  } catch {
    throw new JsonGuardError('NOT_JSON', 'a key is not a JSON string');
  }
}
