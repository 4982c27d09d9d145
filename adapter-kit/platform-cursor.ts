import { fault } from '../schema/errors.ts';

/** Where a page of a platform's live list begins. */
export type PlatformPosition =
  | { readonly at: 'start'; readonly next: null }
  | { readonly at: 'after'; readonly next: string }
  | { readonly at: 'end'; readonly next: null };

export const START: PlatformPosition = { at: 'start', next: null };

/** Longer than any platform's own position; beyond it somebody is trying something. */
const MAX_CURSOR_LENGTH = 2_048;
const AFTER = 'after:';
const END = 'end';

/**
 * A platform's own position, made opaque: clients hand cursors back, they do not read them.
 *
 * @param next as the adapter said it; null after the last page, whose cursor leads to an empty one
 */
export function encodeCursor(next: string | null): string {
  return Buffer.from(next === null ? END : AFTER + next, 'utf8').toString('base64url');
}

/** @throws GraphQLError BAD_CURSOR */
export function decodeCursor(cursor: string): PlatformPosition {
  const text = cursor.length <= MAX_CURSOR_LENGTH ? Buffer.from(cursor, 'base64url').toString('utf8') : '';
  const next = text.startsWith(AFTER) ? text.slice(AFTER.length) : null;
  // Encoding again proves that every character was one of ours: Buffer skips what it does not know.
  if ((next === null && text !== END) || encodeCursor(next) !== cursor)
    throw fault('BAD_CURSOR', 'This is not a cursor of this list.');
  return next === null ? { at: 'end', next } : { at: 'after', next };
}
