/** What stands where a secret stood. */
export const REDACTED = '[redacted]';

/** Names under which secrets travel, compared without case, `-` and `_`; `apiKey` and `X-Api-Key` are one name. */
const SECRET_NAME =
  /passw(or)?d|passphrase|pwd$|secret|token|authori[sz]ation|signature|cookie|apikey|privatekey|privatekeypem|credential|assertion|^jwt$|sessionid|bearer/;
/** Names that contain one of the words above and hide nothing. */
const HARMLESS_NAMES: ReadonlySet<string> = new Set([
  'tokenurl',
  'tokentype',
  'signatureprofile',
  'credentialkind',
  'credentialhint',
]);

/** Secrets that stand in the middle of a text. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z0-9 ]{1,40}-----[\s\S]{0,20000}?(-----END [A-Z0-9 ]{1,40}-----|$)/g, REDACTED],
  [/\b(Bearer|Basic|Digest|Negotiate)\s+[A-Za-z0-9._~+/=-]{4,}/gi, `$1 ${REDACTED}`],
  // A JWT, wherever it stands.
  [/\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*/g, REDACTED],
  [/\bwhsec_[A-Za-z0-9+/=]{4,}/g, `whsec_${REDACTED}`],
  [/\bsha(1|256|512)=[0-9a-f]{32,}/gi, `sha$1=${REDACTED}`],
  // `user:password@host` in an address.
  [/(\/\/[^\s/:@]{0,200}:)[^\s/@]{1,200}@/g, `$1${REDACTED}@`],
  // `token=…`, `"password": "…"`, `api_key: …`; the value ends where a query, a header or JSON would end it.
  [
    /((?:passw(?:or)?d|passphrase|pwd|secret|token|authorization|signature|cookie|api[-_]?key|private[-_]?key)[\w-]{0,20}"?\s{0,5}[=:]\s{0,5}"?)(?!\[redacted\])(?!(?:Bearer|Basic|Digest|Negotiate)\s)[^\s"&,;}]{1,4000}/gi,
    `$1${REDACTED}`,
  ],
];

const MAX_TEXT = 2_000;
/** Text that is looked at before it is cut: a secret that straddles the cut must not survive as its first half. */
const MAX_SCANNED_TEXT = 64_000;
const MAX_DEPTH = 8;
const MAX_MEMBERS = 200;

/** Whether values under this header, field or parameter name are secrets. */
export function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replaceAll(/[-_.\s]/g, '');
  return SECRET_NAME.test(plain) && !HARMLESS_NAMES.has(plain);
}

/**
 * For previews of what arrived: takes known secrets out of a text and cuts it.
 *
 * @param maxLength characters to keep; default 2,000
 */
export function redactText(text: string, maxLength: number = MAX_TEXT): string {
  let clean = text.slice(0, MAX_SCANNED_TEXT);
  for (const [pattern, replacement] of PATTERNS) clean = clean.replace(pattern, replacement);
  return clean.length > maxLength ? `${clean.slice(0, maxLength)}…` : clean;
}

/** Headers with the values of secret ones replaced and secrets inside the others taken out. */
export function redactHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(headers).slice(0, MAX_MEMBERS);
  return Object.fromEntries(entries.map(([name, value]) => [name, isSecretName(name) ? REDACTED : redactText(value)]));
}

/**
 * A copy of a JSON-like value without secrets: at most 8 deep, 200 members each, 2,000 characters a text. What lies beyond
 * a bound is replaced by `…`. Dates and errors become text; functions and symbols go.
 */
export function redact(value: unknown): unknown {
  return redactAt(value, 0);
}

function redactAt(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Error) return redactText(`${value.name}: ${value.message}`);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) {
    const kept = value.slice(0, MAX_MEMBERS).map((item: unknown) => redactAt(item, depth + 1));
    return value.length > MAX_MEMBERS ? [...kept, '…'] : kept;
  }
  const entries = Object.entries(value);
  const kept = entries
    .slice(0, MAX_MEMBERS)
    .map(([name, member]: [string, unknown]) => [name, isSecretName(name) ? REDACTED : redactAt(member, depth + 1)]);
  return Object.fromEntries(entries.length > MAX_MEMBERS ? [...kept, ['…', '…']] : kept);
}
