/**
 * Whether something is to be done again, by a clock that people can set: one that was set back must not put it off until
 * the old time is reached once more. Milliseconds; a `lastAt` of minus infinity is never.
 */
export function isDueAgain(lastAt: number, everyMs: number, now: number): boolean {
  return now < lastAt || now - lastAt >= everyMs;
}
