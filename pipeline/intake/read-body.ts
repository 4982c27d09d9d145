import type { IncomingMessage } from 'node:http';

/** `TOO_LARGE` as soon as it is known, `ABORTED` when the sender went away. */
export type BodyResult = Buffer | 'TOO_LARGE' | 'ABORTED';

/**
 * What a sender may push after the limit before it is cut off: one that is nearly through can then read our answer,
 * which a reset connection would take away from it. None of it is kept.
 */
const MAX_DISCARDED_BYTES = 1_024 * 1_024;

/** Reads a body of at most `limit` bytes. */
export function readBody(req: IncomingMessage, limit: number): Promise<BodyResult> {
  const declared = Number(req.headers['content-length'] ?? 0);
  if (declared > limit + MAX_DISCARDED_BYTES) return Promise.resolve('TOO_LARGE');
  return new Promise((resolve) => {
    let chunks: Buffer[] = [];
    let received = 0;
    const onData = (chunk: Buffer): void => {
      received += chunk.length;
      if (received <= limit) {
        chunks.push(chunk);
        return;
      }
      chunks = [];
      if (received > limit + MAX_DISCARDED_BYTES) settle('TOO_LARGE');
    };
    const onEnd = (): void => {
      if (received > limit) return settle('TOO_LARGE');
      const [only] = chunks;
      settle(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, received));
    };
    const onClose = (): void => settle('ABORTED');
    function settle(result: BodyResult): void {
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      if (result === 'TOO_LARGE') req.pause();
      resolve(result);
    }
    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}
