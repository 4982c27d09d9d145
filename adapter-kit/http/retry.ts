/** First wait before a retry is anything up to this; it doubles per attempt. */
const BASE_WAIT_MS = 200;
/** No single wait of our own choosing is longer. */
const MAX_WAIT_MS = 5_000;
/** The longest wait asked for by a platform that is waited out here; a longer one goes to the caller. */
export const MAX_HONOURED_RETRY_AFTER_MS = 30_000;
/** A platform that asks for more than a day is misread or broken. */
const MAX_RETRY_AFTER_MS = 86_400_000;

/**
 * @param text value of `Retry-After`: seconds, or an HTTP date
 * @returns milliseconds from now, at most a day; null when there is none that can be read
 * @see RFC 9110 section 10.2.3
 */
export function parseRetryAfter(text: string | undefined, now: Date): number | null {
  if (text === undefined) return null;
  const trimmed = text.trim();
  if (/^\d{1,10}$/.test(trimmed)) return Math.min(Number(trimmed) * 1_000, MAX_RETRY_AFTER_MS);
  // Date.parse takes far more than HTTP dates, a bare "-5" among them: ask for a weekday first.
  if (!/^[A-Z][a-z]{2,8},? /.test(trimmed)) return null;
  const at = Date.parse(trimmed);
  return Number.isNaN(at) ? null : Math.min(Math.max(0, at - now.getTime()), MAX_RETRY_AFTER_MS);
}

/**
 * Full jitter: anything between nothing and the bound, so that a thousand clients do not come back together.
 *
 * @param attempt 0 for the wait after the first attempt
 * @param random uniform in [0, 1)
 * @returns milliseconds
 */
export function backoffMs(attempt: number, random: () => number): number {
  return random() * Math.min(MAX_WAIT_MS, BASE_WAIT_MS * 2 ** attempt);
}
