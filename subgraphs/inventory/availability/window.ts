import { fault } from '../../../schema/errors.ts';
import type { Span } from '../../../storage/status-segments.ts';

/** As long as history is kept. */
export const MAX_WINDOW_MS = 400 * 86_400_000;

/** The API's TimeWindow: milliseconds, null is absent. */
export interface TimeWindow {
  readonly from?: number | null | undefined;
  readonly to?: number | null | undefined;
  readonly last?: number | null | undefined;
}

/**
 * A window as a span of whole seconds that ends now at the latest: nobody knows the future.
 *
 * @param now milliseconds since the epoch
 * @returns milliseconds, both divisible by 1,000
 * @throws GraphQLError BAD_USER_INPUT for a window without a beginning, without length, too long, or in the future
 */
export function parseWindow({ from, to, last }: TimeWindow, now: number): Span {
  const given = (value: number | null | undefined): value is number => value !== null && value !== undefined;
  if (given(from) === given(last)) throw fault('BAD_USER_INPUT', 'A window takes either `from` or `last`.');
  const end = given(to) ? to : now;
  const start = given(from) ? from : end - (last ?? 0);
  if (start >= end) throw fault('BAD_USER_INPUT', 'A window begins before it ends.');
  if (end - start > MAX_WINDOW_MS) throw fault('BAD_USER_INPUT', 'A window has at most 400 days.');
  const whole = (at: number): number => Math.floor(at / 1_000) * 1_000;
  const span = { from: whole(start), to: whole(Math.min(end, now)) };
  if (span.from >= span.to) throw fault('BAD_USER_INPUT', 'A window begins at least a second ago and lasts one.');
  return span;
}

/**
 * The same for a list of what was: up to this very instant, so that what began within this second is in it.
 *
 * @throws GraphQLError BAD_USER_INPUT as above
 */
export function parseHistoryWindow(window: TimeWindow, now: number): Span {
  const span = parseWindow(window, now);
  return span.to > now - 1_000 && (window.to ?? now) >= now ? { ...span, to: now + 1 } : span;
}
