/** setTimeout counts in 31 bits; what is further away is looked at again after this. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls back once, when a token ends.
 *
 * @param at null: never
 * @returns how to forget about it
 */
export function onExpiry(at: Date | null, now: () => number, callback: () => void): () => void {
  if (at === null) return () => undefined;
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const left = at.getTime() - now();
    timer = setTimeout(
      () => (at.getTime() <= now() ? callback() : arm()),
      Math.min(Math.max(left, 0), LONGEST_TIMER_MS),
    );
    // A stream holds its socket, which keeps the process alive; the timer need not.
    timer.unref();
  };
  arm();
  return () => clearTimeout(timer);
}
