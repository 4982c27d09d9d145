// How tests make the simulated service misbehave.
import { z } from 'zod';

export const Faults = z.strictObject({
  /** Answer calls with this status instead. */
  status: z.int().min(400).max(599).nullable().default(null),
  /** Only calls whose path has this in it; null: every call. */
  path: z.string().nullable().default(null),
  /** Only so many calls. */
  times: z.int().positive().nullable().default(null),
  retryAfterSeconds: z.int().nonnegative().nullable().default(null),
  /** Answer after so long. */
  delayMs: z.int().min(0).max(60_000).default(0),
  /** Do what is asked and cut the connection without an answer: the outcome is unknown to whoever asked. */
  cutAfter: z.boolean().default(false),
  /** `next` of lists names this host, or the page itself. */
  next: z.enum(['usual', 'foreign', 'circle']).default('usual'),
  /** What is added to `total_count`. */
  totalOff: z.int().default(0),
  /** How many polls a clip takes to be made. */
  clipPolls: z.int().min(0).max(1_000).default(2),
  /** By how many places the list of cameras is turned round, as if others had come and gone. */
  shift: z.int().min(0).max(100_000).default(0),
  /** Entries of a page that come without an id. */
  broken: z.int().min(0).max(100).default(0),
});
export type Faults = z.infer<typeof Faults>;

export interface FaultBoard {
  readonly faults: Faults;
  set(faults: Faults): void;
  /** Whether this call is one to spoil; counts it. */
  spoils(path: string): boolean;
  isDown(): boolean;
  /** 0 ends it. */
  outage(seconds: number): void;
}

export function createFaultBoard(now: () => Date): FaultBoard {
  let left = Number.POSITIVE_INFINITY;
  let downUntil = 0;
  const board = {
    faults: Faults.parse({}),
    set(faults: Faults): void {
      board.faults = faults;
      left = faults.times ?? Number.POSITIVE_INFINITY;
    },
    spoils(path: string): boolean {
      const { status, cutAfter, delayMs, path: only } = board.faults;
      if (status === null && !cutAfter && delayMs === 0) return false;
      if (only !== null && !path.includes(only)) return false;
      left -= 1;
      return left >= 0;
    },
    isDown: () => now().getTime() < downUntil,
    outage(seconds: number): void {
      downUntil = seconds === 0 ? 0 : now().getTime() + seconds * 1_000;
    },
  };
  return board;
}
