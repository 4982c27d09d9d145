import type { IncomingMessage } from 'node:http';
import { Refusal } from '../refusal.ts';

/** Bytes of a request's body; no operation of ours needs a tenth of it. */
export const MAX_BODY_BYTES = 262_144;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Long enough to read our answer, too short to be worth an attack. */
const LINGER_MS = 1_000;

/** Clients read no answer while they are sending, so what comes is thrown away for a moment before they are cut. */
function tooLarge(request: IncomingMessage): Refusal {
  request.resume();
  const cut = setTimeout(() => request.destroy(), LINGER_MS);
  cut.unref();
  request.once('close', () => clearTimeout(cut));
  return new Refusal(413, 'PAYLOAD_TOO_LARGE', `A request may have ${MAX_BODY_BYTES} bytes.`);
}

/**
 * Reads a request's body as UTF-8 text, and no more of it than is allowed.
 *
 * @throws Refusal `UNSUPPORTED_MEDIA_TYPE` when it is compressed, `PAYLOAD_TOO_LARGE`, `BAD_REQUEST` when it is not
 *   UTF-8; Error when the client went away
 */
export async function readText(request: IncomingMessage): Promise<string> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    // 152 bytes of brotli can be 100 MB of spaces.
    throw new Refusal(415, 'UNSUPPORTED_MEDIA_TYPE', 'Compressed requests are not accepted.');
  }
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge(request);
  const bytes = await readBytes(request);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refusal(400, 'BAD_REQUEST', 'The body is not UTF-8.');
  }
}

function readBytes(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) {
        request.removeAllListeners('data');
        chunks.length = 0;
        reject(tooLarge(request));
        return;
      }
      chunks.push(chunk);
    });
    request.on('end', () =>
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)),
    );
    request.on('error', reject);
    request.on('close', () => {
      if (!request.complete) reject(new Error('the client went away'));
    });
  });
}
