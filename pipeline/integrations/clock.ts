/** Time, passed in so that tests decide when it passes. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds since some moment in the past: unlike `now` it goes on evenly when somebody sets the clock. */
  readonly elapsedMs: () => number;
  /** Runs `job` once. @returns how to call it off */
  readonly after: (ms: number, job: () => void) => () => void;
}

/** Longest span a timer of Node takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsedMs: () => Math.round(performance.now()),
  after(ms, job) {
    const timer = setTimeout(job, Math.min(Math.max(ms, 0), MAX_TIMER_MS));
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};
