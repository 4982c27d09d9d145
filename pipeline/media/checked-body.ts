import { createHash } from 'node:crypto';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { MAX_MEDIA_BYTES } from '../../adapter-kit/media.ts';

/** So much is read before anything is sent: a picture is known to be whole and right by then. Per link that is open. */
export const HELD_BYTES = 1_024 * 1_024;

/** The beginning of media, and what follows. */
export interface CheckedBody {
  readonly head: readonly Uint8Array[];
  /** What everything begins with, in `head` or not. */
  readonly start: Uint8Array;
  /** Size of everything when `head` is everything, else null. */
  readonly sizeBytes: number | null;
  /** What follows the head. Its last part is only given when the whole is what it should be. */
  readonly rest: AsyncIterable<Uint8Array>;
}

/**
 * Reads the beginning, and lets the rest follow as it comes.
 *
 * @param sha256 hex, of the whole; null when the platform told none
 * @throws AdapterError BAD_PAYLOAD for other bytes than those of the event or none at all, TOO_LARGE, and what the body throws
 */
export async function checkBody(body: AsyncIterable<Uint8Array>, sha256: string | null): Promise<CheckedBody> {
  const hash = createHash('sha256');
  const source = body[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let size = 0;

  async function read(): Promise<Uint8Array | null> {
    const { done, value } = await source.next();
    if (done === true) {
      const isOther = sha256 !== null && hash.digest('hex') !== sha256.toLowerCase();
      if (isOther) throw new AdapterError('BAD_PAYLOAD', 'the platform has other bytes now than those of the event');
      return null;
    }
    size += value.length;
    if (size > MAX_MEDIA_BYTES) throw new AdapterError('TOO_LARGE', `the media has more than ${MAX_MEDIA_BYTES} bytes`);
    hash.update(value);
    return value;
  }

  async function* follow(first: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
    let held: Uint8Array | null = first;
    try {
      while (held !== null) {
        const next: Uint8Array | null = await read();
        yield held;
        held = next;
      }
    } finally {
      await source.return?.();
    }
  }

  async function* nothing(): AsyncGenerator<Uint8Array, void, void> {}

  while (size <= HELD_BYTES) {
    const chunk = await read();
    if (chunk === null) {
      if (size === 0) throw new AdapterError('BAD_PAYLOAD', 'the platform answered without any bytes');
      return { head, start: head[0] ?? new Uint8Array(), sizeBytes: size, rest: nothing() };
    }
    head.push(chunk);
  }
  const [start = new Uint8Array()] = head;
  const last = head.pop() ?? start;
  return { head, start, sizeBytes: null, rest: follow(last) };
}
