import { gunzip } from 'node:zlib';

/** An inventory of thousands of devices; what inflates beyond it is a bomb. */
export const MAX_INFLATED_BYTES = 4 * 1_024 * 1_024;

/** Decompresses a body of which it is proven who sent it, off the event loop's thread. */
export function inflate(body: Uint8Array): Promise<Buffer | 'TOO_LARGE' | 'NOT_GZIP'> {
  return new Promise((resolve) => {
    gunzip(body, { maxOutputLength: MAX_INFLATED_BYTES }, (error, content) => {
      if (error === null) resolve(content);
      else resolve('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE' ? 'TOO_LARGE' : 'NOT_GZIP');
    });
  });
}
