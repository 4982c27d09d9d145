// What a sender may have signed in place of the bytes that it sent.
import { gunzipSync } from 'node:zlib';
import { parseJson } from '../../../adapter-kit/json-guard.ts';

/** Bytes that may have been signed, and how they came to differ; null: they are what was sent. */
export interface BodyForm {
  readonly mistake: string | null;
  readonly bytes: Buffer;
}

/** Decompressed to look for what was signed before compression, and no further. */
const MAX_INFLATED_BYTES = 256 * 1_024;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

const SENT = 'sign the bytes that are sent';

/** Re-serialised JSON; each entry is what one family of libraries writes. */
const WRITERS: readonly (readonly [string, (value: unknown) => string])[] = [
  ['without spaces (JSON.stringify)', (value) => JSON.stringify(value)],
  ['with a space after each colon and comma (json.dumps)', spaced],
  ['with an indent of two spaces', (value) => JSON.stringify(value, null, 2)],
  ['with an indent of four spaces', (value) => JSON.stringify(value, null, 4)],
  ['with tabs as indent', (value) => JSON.stringify(value, null, '\t')],
  ['with its keys sorted', (value) => JSON.stringify(sorted(value))],
  ['with its keys sorted and spaces (json.dumps, sort_keys)', (value) => spaced(sorted(value))],
  ['with non-ASCII letters as \\u escapes', (value) => ascii(JSON.stringify(value))],
  ['with spaces and non-ASCII letters as \\u escapes (json.dumps)', (value) => ascii(spaced(value))],
  ['with slashes escaped (json_encode)', (value) => slashes(JSON.stringify(value))],
  ['with slashes and non-ASCII letters escaped (json_encode)', (value) => slashes(ascii(JSON.stringify(value)))],
  ['with <, > and & escaped (encoding/json)', (value) => html(JSON.stringify(value))],
  ['as a JSON string (encoded twice)', (value) => JSON.stringify(JSON.stringify(value))],
];

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}

function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}: ${spaced(member)}`)
    .join(', ')}}`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function ascii(json: string): string {
  return json.replaceAll(/[\u0080-\uffff]/g, escaped);
}

function slashes(json: string): string {
  return json.replaceAll('/', '\\/');
}

function html(json: string): string {
  return json.replaceAll(/[<>&]/g, escaped);
}

/** JSON within the guard's bounds; undefined when it is not. */
function jsonOf(body: Buffer): unknown {
  try {
    parseJson(body);
    // Again without the guard's care for long numbers: what a library would have made of them is wanted here.
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

/** What editors, shells and frameworks do at the edges and the line ends of a text. */
function edgeForms(body: Buffer): readonly BodyForm[] {
  const text = body.toString('utf8');
  const forms: readonly (readonly [string, string])[] = [
    [`a line feed at its end was signed and not sent; ${SENT}`, `${text}\n`],
    [`a carriage return and line feed at its end were signed and not sent; ${SENT}`, `${text}\r\n`],
    [`the line feed at its end was sent and not signed; ${SENT}`, text.replace(/\r?\n$/, '')],
    [`white space around it was sent and not signed; ${SENT}`, text.trim()],
    ['its line feeds were signed as carriage return and line feed and sent without', text.replaceAll(/\r?\n/g, '\r\n')],
    ['its carriage returns were sent and not signed', text.replaceAll('\r\n', '\n')],
  ];
  const marked = { mistake: 'a byte order mark was signed and not sent', bytes: Buffer.concat([BOM, body]) };
  const unmarked = body.subarray(0, BOM.length).equals(BOM)
    ? [{ mistake: 'a byte order mark was sent and not signed', bytes: body.subarray(BOM.length) }]
    : [];
  // The mark first: to a text it is white space like any other.
  return [...unmarked, marked, ...forms.map(([mistake, form]) => ({ mistake, bytes: Buffer.from(form, 'utf8') }))];
}

function textForms(body: Buffer): readonly BodyForm[] {
  const text = body.toString('utf8');
  const other = text === text.normalize('NFC') ? 'NFD' : 'NFC';
  const forms: readonly (readonly [string, string])[] = [
    ['its percent-encoded form was signed', encodeURIComponent(text.toWellFormed())],
    ['its percent-decoded form was signed', decodedForm(text)],
    ['its value of the form field "payload" was signed', new URLSearchParams(text).get('payload') ?? text],
    ['its Base64 was signed', body.toString('base64')],
    ['its hexadecimal text was signed', body.toString('hex')],
    ['its letters were signed in another Unicode normal form', text.normalize(other)],
  ];
  return forms.map(([mistake, form]) => ({ mistake, bytes: Buffer.from(form, 'utf8') }));
}

function decodedForm(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

function byteForms(body: Buffer): readonly BodyForm[] {
  const text = body.toString('utf8');
  const forms: BodyForm[] = [
    { mistake: 'it was signed as ISO 8859-1 and sent as UTF-8', bytes: Buffer.from(text, 'latin1') },
    { mistake: 'it was signed as UTF-8 and sent as ISO 8859-1', bytes: Buffer.from(body.toString('latin1'), 'utf8') },
    { mistake: 'it was signed as UTF-16 and sent as UTF-8', bytes: Buffer.from(text, 'utf16le') },
  ];
  try {
    const bytes = gunzipSync(body, { maxOutputLength: MAX_INFLATED_BYTES });
    forms.push({ mistake: 'it was signed before it was compressed; sign the compressed bytes', bytes });
  } catch {
    // Not compressed.
  }
  return forms;
}

/** The body as it came, then whatever else may have been signed. No two of them are the same bytes. */
export function bodyForms(body: Buffer): readonly BodyForm[] {
  const value = jsonOf(body);
  const rewritten =
    value === undefined
      ? []
      : WRITERS.map(([how, write]) => ({
          mistake: `the JSON was written again between signing and sending; what was signed is the same JSON ${how}: ${SENT}`,
          bytes: Buffer.from(write(value), 'utf8'),
        }));
  const empty = { mistake: `nothing was signed in the place of the body; ${SENT}`, bytes: Buffer.alloc(0) };
  const seen = new Set<string>();
  return [
    { mistake: null, bytes: body },
    ...edgeForms(body),
    ...rewritten,
    ...textForms(body),
    ...byteForms(body),
    empty,
  ].filter(({ bytes }) => {
    const name = bytes.toString('latin1');
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}
