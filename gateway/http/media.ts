import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { MEDIA_DEADLINE_MS } from '../../adapter-kit/media.ts';
import type { OneTimeMedia, OpenedMedia } from '../../pipeline/media/one-time-media.ts';
import type { Principal } from '../../schema/principal.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { Refusal } from '../refusal.ts';

/** As GitHub serves files of strangers: a picture shows, and nothing in it can do anything. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'none'; sandbox";

export interface MediaParts {
  readonly media: OneTimeMedia;
  readonly authenticator: Authenticator;
}

/** One answer for every way in which a link can be bad: which way it was is nobody's business. */
function gone(): Refusal {
  return new Refusal(
    410,
    'LINK_GONE',
    'This link opens nothing. Links to media can be used once, and for a short time.',
  );
}

/** @returns null when nobody says who asks @throws Refusal for a bad token: whoever brings one must be the right one */
async function openerOf(request: IncomingMessage, authenticator: Authenticator): Promise<Principal | null> {
  const { authorization } = request.headers;
  if (authorization === undefined) return null;
  try {
    return await authenticator.authenticate(authorization);
  } catch (error) {
    throw error instanceof Refusal ? gone() : error;
  }
}

/** What a platform did not do; its own words, and where it is, stay here. */
function unavailable({ code, retryAfterMs }: AdapterError): Refusal {
  const seconds = Math.max(1, Math.ceil((retryAfterMs ?? 1_000) / 1_000));
  const isBusy = code === 'RATE_LIMITED';
  const message = 'The platform does not hand it over now. The link was not used up.';
  return new Refusal(isBusy ? 503 : code === 'TIMEOUT' ? 504 : 502, 'MEDIA_UNAVAILABLE', message, {
    details: { reason: code },
    headers: isBusy ? { 'retry-after': String(seconds) } : {},
  });
}

/** Parts of a clip are not sent: a second request for the rest would find the link used. */
function prepare(response: ServerResponse, contentType: string | null): void {
  response.setHeader('content-security-policy', POLICY);
  response.setHeader('accept-ranges', 'none');
  if (contentType !== null) response.setHeader('content-type', contentType);
}

async function send(
  response: ServerResponse,
  { contentType, fileName, sizeBytes, body }: OpenedMedia,
  ended: AbortSignal,
): Promise<void> {
  prepare(response, contentType);
  // A player asks for a clip in parts, of which there is one: it is saved instead.
  const disposition = contentType.startsWith('image/') ? 'inline' : 'attachment';
  response.setHeader('content-disposition', `${disposition}; filename="${fileName}"`);
  response.writeHead(200, sizeBytes === null ? {} : { 'content-length': sizeBytes });
  for await (const chunk of body) {
    if (!response.write(chunk)) await once(response, 'drain', { signal: ended }).catch(() => undefined);
    if (ended.aborted) {
      response.destroy();
      return;
    }
  }
  response.end();
}

/**
 * `GET /media/{token}`: opens a picture or clip of an event, once. `HEAD` says whether it would, and uses nothing up.
 *
 * @throws Refusal `LINK_GONE` (410) or `MEDIA_UNAVAILABLE` (502, 503 or 504)
 */
export async function answerMedia(
  request: IncomingMessage,
  response: ServerResponse,
  token: string,
  { media, authenticator }: MediaParts,
): Promise<void> {
  const opener = await openerOf(request, authenticator);
  if (request.method === 'HEAD') {
    const contentType = await media.look(token, opener);
    if (contentType === undefined) throw gone();
    prepare(response, contentType);
    response.writeHead(200).end();
    return;
  }
  const left = new AbortController();
  response.once('close', () => left.abort());
  if (response.destroyed) left.abort();
  // Who reads too slowly holds a place that others wait for.
  const ended = AbortSignal.any([left.signal, AbortSignal.timeout(MEDIA_DEADLINE_MS)]);
  let opened: OpenedMedia | undefined;
  try {
    opened = await media.open(token, opener, left.signal);
    if (opened === undefined) throw gone();
    await send(response, opened, ended);
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error;
    throw unavailable(error);
  } finally {
    opened?.close();
  }
}
