/**
 * The storage behind the service: links that are signed and end, and ask for no key.
 *
 * @see "How to Get Video, Clips and Images" of the vendor's help
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { clipBytes } from '../../../adapter-kit/simulator-kit/media-bytes.ts';
import { digest } from './world.ts';

const LINK_MS = 600_000;
/** More than is looked at ahead when a clip is passed on. */
const CLIP_BYTES = 2_500_000;

export interface MediaStore {
  /** @param path begins with a slash */
  link(path: string): string;
  /** @returns null when the link is not good any more */
  read(pathname: string, query: URLSearchParams): Buffer | null;
}

/** @param origin known once the service listens */
export function createMediaStore(seed: number, origin: () => string, now: () => Date): MediaStore {
  const key = digest(seed, 'media links');

  function sign(path: string, expires: string): string {
    return createHmac('sha256', key).update(`${path} ${expires}`).digest('base64url');
  }

  return {
    link(path) {
      const expires = String(now().getTime() + LINK_MS);
      return `${origin()}/storage${path}?expires=${expires}&sig=${sign(path, expires)}`;
    },
    read(pathname, query) {
      const path = pathname.replace(/^\/storage/, '');
      const expires = query.get('expires') ?? '';
      const given = Buffer.from(query.get('sig') ?? '');
      const expected = Buffer.from(sign(path, expires));
      const isGood = given.length === expected.length && timingSafeEqual(given, expected);
      return isGood && Number(expires) > now().getTime() ? clipBytes(path, CLIP_BYTES) : null;
    },
  };
}
