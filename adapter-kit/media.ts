import { AdapterError } from './adapter-error.ts';
import type { HttpClientFactory, HttpClientOptions, HttpDownload, HttpRequest } from './http/http-client.ts';
import type { MediaContent } from './model.ts';

/** A picture has some 100 KB, half a minute of video some 30 MB. */
export const MAX_MEDIA_BYTES = 64 * 1_024 * 1_024;
/** For all of it: what takes longer is no clip of an event, or nobody reads it. */
export const MEDIA_DEADLINE_MS = 60_000;

/** What every call for a picture or clip says of itself: any type, and no second attempt while a person waits. */
export const MEDIA_CALL = {
  headers: { accept: 'image/*, video/*, audio/*' },
  timeoutMs: MEDIA_DEADLINE_MS,
} as const satisfies Partial<HttpRequest>;

/**
 * Opens an address by the same guard as all calls. Redirects are not followed.
 *
 * @param options `headers` only for an address of the platform itself: signed links and foreign hosts get no credentials
 * @throws AdapterError BAD_PAYLOAD for what is no address of the web
 */
export async function openAddress(
  http: HttpClientFactory,
  address: string,
  signal: AbortSignal,
  options: Pick<HttpClientOptions, 'tls' | 'headers'> = {},
): Promise<MediaContent> {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new AdapterError('BAD_PAYLOAD', 'the address of the media is not one of the web');
  const client = http({ ...options, baseUrl: new URL(url.origin), maxResponseBytes: MAX_MEDIA_BYTES, retries: 0 });
  try {
    const call = { ...MEDIA_CALL, path: `${url.pathname}${url.search}`, signal };
    return contentOf(await client.download(call), () => client.close());
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** @param release called once, when the body was read, broke or was given up */
export function contentOf(
  download: HttpDownload,
  release: () => Promise<void> = () => Promise.resolve(),
): MediaContent {
  let released: Promise<void> | null = null;
  const close = (): Promise<void> => {
    download.cancel();
    return (released ??= release());
  };
  async function* read(): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* download.body;
    } finally {
      await close();
    }
  }
  return { contentType: download.headers['content-type'] ?? null, body: read(), close };
}

/** What is in memory already. */
export function contentOfBytes(bytes: Uint8Array, contentType: string | null): MediaContent {
  async function* read(): AsyncGenerator<Uint8Array, void, void> {
    yield bytes;
  }
  return { contentType, body: read(), close: () => Promise.resolve() };
}
