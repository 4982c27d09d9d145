import { z } from 'zod';

/** Switches of misbehaviour; what a request does not name is as it should be, so that `{}` heals the platform. */
export const Faults = z.strictObject({
  /** Answer calls with this status: 401 for an expired key, 403 for a missing permission, 429, 500, … */
  status: z.int().min(300).max(599).nullable().default(null),
  /** What the body of a spoiled answer is: usual, never-ending, more than 10 MB, no JSON, or a redirect to `redirectTo`. */
  answer: z.enum(['usual', 'endless', 'huge', 'not-json', 'redirect']).default('usual'),
  redirectTo: z.url().default('http://169.254.169.254/latest/meta-data/'),
  /** Only calls of this kind are spoiled. */
  call: z.enum(['account', 'sites', 'inventory', 'webhooks']).nullable().default(null),
  /** Only this page is spoiled. */
  page: z.int().min(1).nullable().default(null),
  /** After so many spoiled answers the rest is good. */
  times: z.int().min(1).nullable().default(null),
  retryAfterSeconds: z.int().min(0).nullable().default(null),
  /** Milliseconds before any answer. */
  delayMs: z.int().min(0).max(120_000).default(0),
  /** Added to every `total_count`. */
  totalCountOff: z.int().default(0),
  /** Words that nobody knows for every type and status. */
  unknownWords: z.boolean().default(false),
  /** Members that records of sites and devices, or pages, do not have. */
  without: z.array(z.enum(['address', 'timezone', 'mac_address', 'pagination'])).default([]),
  /** Device records repeat what their site says of itself, or say something else. */
  siteDetails: z.enum(['none', 'same', 'other']).default('none'),
  /** The older revision's names in answers and webhooks. */
  olderRevision: z.boolean().default(false),
  /** False: no webhook API (404). */
  webhookApi: z.boolean().default(true),
  /** The platform makes the webhook secret itself instead of taking the one it is given. */
  ownSecret: z.boolean().default(false),
  /** Share of webhooks that are sent twice. */
  duplicateRate: z.number().min(0).max(1).default(0),
  /** Webhooks overtake each other. */
  disorder: z.boolean().default(false),
  /** Webhooks are lost: the platform falls silent. */
  dropWebhooks: z.boolean().default(false),
});
export type Faults = z.infer<typeof Faults>;

export const Outage = z.strictObject({
  /** 0 ends it. */
  seconds: z.number().min(0).max(86_400),
  /** What callers see: an answer 503, or a connection that is cut. */
  mode: z.enum(['status', 'reset']).default('status'),
  /** Webhooks of the time: sent afterwards, or never. */
  webhooks: z.enum(['queue', 'lose']).default('queue'),
});
export type Outage = z.infer<typeof Outage>;

export interface FaultBoard {
  faults: Faults;
  /** Replaces all switches. */
  set(faults: Faults): void;
  /** Whether this answer is to be spoiled; counts against `times`. */
  spoils(call: Faults['call'], page: number | null): boolean;
  start(outage: Outage): void;
  readonly outage: Outage | null;
}

/** @param onOutageEnd told once, when an outage is over */
export function createFaultBoard(onOutageEnd: () => void): FaultBoard & { close(): void } {
  let left = Number.POSITIVE_INFINITY;
  let outage: Outage | null = null;
  let timer: NodeJS.Timeout | undefined;
  const board = {
    faults: Faults.parse({}),
    set(faults: Faults): void {
      board.faults = faults;
      left = faults.times ?? Number.POSITIVE_INFINITY;
    },
    spoils(call: Faults['call'], page: number | null): boolean {
      const { faults } = board;
      if (faults.status === null && faults.answer === 'usual') return false;
      if (faults.call !== null && faults.call !== call) return false;
      if (faults.page !== null && faults.page !== page) return false;
      left -= 1;
      return left >= 0;
    },
    start(next: Outage): void {
      clearTimeout(timer);
      const end = (): void => {
        outage = null;
        onOutageEnd();
      };
      outage = next;
      if (next.seconds === 0) end();
      else timer = setTimeout(end, next.seconds * 1_000).unref();
    },
    get outage() {
      return outage;
    },
    close: () => clearTimeout(timer),
  };
  return board;
}
