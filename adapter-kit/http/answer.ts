import type { Dispatcher } from 'undici';
import type { ZodType } from 'zod';
import { AdapterError } from '../adapter-error.ts';
import { JsonGuardError, parseJson } from '../json-guard.ts';
import { statusFailure } from './failure.ts';
import type { HttpAnswer } from './http-client.ts';
import { parseRetryAfter } from './retry.ts';

/** An inventory page is bigger than a delivery: a thousand devices of fifty members. */
const MAX_ANSWER_KEYS = 50_000;
/** What is read of an answer nobody wants, to keep the connection; a longer one costs the connection instead. */
const MAX_DRAINED_BYTES = 16_384;
/** Faults of a schema that a message names. */
const MAX_NAMED_ISSUES = 3;

/**
 * Takes a 2xx answer, all of it, up to the cap. @throws AdapterError for any other status, a longer or a compressed answer
 *
 * @param alsoAnswers statuses beside 2xx that are no failures
 */
export async function readAnswer(
  response: Dispatcher.ResponseData,
  what: string,
  maxBytes: number,
  now: Date,
  alsoAnswers: readonly number[] = [],
): Promise<HttpAnswer> {
  const headers = await acceptAnswer(response, what, maxBytes, now, alsoAnswers);
  const chunks: Uint8Array[] = [];
  for await (const chunk of boundedBody(response, what, maxBytes)) chunks.push(chunk);
  return { status: response.statusCode, headers, body: Buffer.concat(chunks) };
}

/** Looks at an answer before its body is read. @returns its headers @throws AdapterError as `readAnswer` does */
export async function acceptAnswer(
  response: Dispatcher.ResponseData,
  what: string,
  maxBytes: number,
  now: Date,
  alsoAnswers: readonly number[] = [],
): Promise<Readonly<Record<string, string>>> {
  const headers = plainHeaders(response.headers);
  const isAnswer = response.statusCode >= 200 && response.statusCode <= 299;
  if (!isAnswer && !alsoAnswers.includes(response.statusCode)) {
    await discard(response, headers);
    throw statusFailure(response.statusCode, what, parseRetryAfter(headers['retry-after'], now));
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity' || Number(headers['content-length'] ?? 0) > maxBytes) {
    cut(response);
    // We asked for identity; unpacking unasked-for data is how small answers become large ones.
    throw encoding === 'identity'
      ? tooLarge(what, maxBytes)
      : new AdapterError('BAD_PAYLOAD', `${what} answered compressed`, { layer: 'http' });
  }
  return headers;
}

/** The body of an answer as it comes. @throws AdapterError TOO_LARGE beyond the cap */
export async function* boundedBody(
  response: Dispatcher.ResponseData,
  what: string,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let size = 0;
  for await (const chunk of response.body) {
    const bytes: Uint8Array = chunk;
    size += bytes.length;
    if (size > maxBytes) throw tooLarge(what, maxBytes);
    yield bytes;
  }
}

/** @throws AdapterError BAD_PAYLOAD naming where the answer departs from the schema, never what stands there */
export function parseAnswer<T>(body: Uint8Array, schema: ZodType<T>, what: string): T {
  let value: unknown;
  try {
    value = parseJson(body, { maxKeys: MAX_ANSWER_KEYS });
  } catch (error) {
    const detail = error instanceof JsonGuardError ? error.message : 'it cannot be read';
    throw new AdapterError('BAD_PAYLOAD', `${what} answered what is not JSON for us: ${detail}`, { layer: 'http' });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, MAX_NAMED_ISSUES);
  const places = issues.map(({ path, code }) => `${path.map(String).join('.').slice(0, 80) || 'the answer'} (${code})`);
  throw new AdapterError('BAD_PAYLOAD', `${what} answered against its contract at ${places.join(', ')}`, {
    layer: 'http',
  });
}

/** Lower-case names, one text per name. */
export function plainHeaders(headers: Dispatcher.ResponseData['headers']): Readonly<Record<string, string>> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return plain;
}

function tooLarge(what: string, maxBytes: number): AdapterError {
  return new AdapterError('TOO_LARGE', `${what} answered more than ${maxBytes} bytes`, { layer: 'http' });
}

/** Reads a short rest to keep the connection; gives up the connection for a long or endless one. */
async function discard(response: Dispatcher.ResponseData, headers: Readonly<Record<string, string>>): Promise<void> {
  const length = Number(headers['content-length'] ?? Number.NaN);
  if (length <= MAX_DRAINED_BYTES) await response.body.dump({ limit: MAX_DRAINED_BYTES });
  else cut(response);
}

/** Gives the connection up with everything that has not been read. */
export function cut(response: Dispatcher.ResponseData): void {
  // Destroying an unread body is reported on it as an error, which is what we want and nobody else's concern.
  response.body.on('error', () => undefined);
  response.body.destroy();
}
