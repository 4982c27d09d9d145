import { z } from 'zod';

/** Switches of misbehaviour; what a request does not name is as it should be, so that `{}` heals the platform. */
export const Faults = z.strictObject({
  /** Answer calls with this status: 401 for a missing permission, 429, 500, … */
  status: z.int().min(300).max(599).nullable().default(null),
  /** What the body of a spoiled answer is: usual, cut in the middle, a web page, never-ending, or never there at all. */
  answer: z.enum(['usual', 'truncated', 'html', 'endless', 'hang']).default('usual'),
  /** Only calls of this kind are spoiled. */
  call: z.enum(['get_device_list', 'get_siren_list']).nullable().default(null),
  /** After so many spoiled answers the rest is good. */
  times: z.int().min(1).nullable().default(null),
  /** Milliseconds before any answer. */
  delayMs: z.int().min(0).max(120_000).default(0),
  /** The list of all devices leaves the sirens out. */
  sirensApart: z.boolean().default(false),
  /** This many entries more, without a GUID. */
  brokenEntries: z.int().min(0).max(1_000).default(0),
  /** Entries have members that the documentation does not name. */
  moreMembers: z.boolean().default(false),
  /** How deliveries are written: as seen in production, in camel case, or with the least. */
  dialect: z.enum(['strict', 'camel', 'minimal']).default('strict'),
  /** Deliveries say no time; with `local`, the wall clock of the device without an offset. */
  time: z.enum(['offset', 'local', 'none']).default('offset'),
  /** Deliveries have no id. */
  withoutIds: z.boolean().default(false),
  /** Pictures of a detection, and how large each of them is. */
  pictures: z.int().min(0).max(10).default(1),
  pictureBytes: z.int().min(100).max(1_000_000).default(12_000),
  contentType: z.string().min(1).max(100).default('application/json'),
  /** Share of deliveries that are sent twice. */
  duplicateRate: z.number().min(0).max(1).default(0),
  /** Deliveries overtake each other. */
  disorder: z.boolean().default(false),
  /** Deliveries are lost: the cloud falls silent and goes on listing. */
  dropWebhooks: z.boolean().default(false),
  /** Attempts for each delivery; whether the real cloud has more than one is not documented. */
  attempts: z.int().min(1).max(1_000).default(60),
});
export type Faults = z.infer<typeof Faults>;

export const Outage = z.strictObject({
  /** 0 ends it. */
  seconds: z.number().min(0).max(86_400),
  /** What callers see: an answer 503, or a connection that is cut. */
  mode: z.enum(['status', 'reset']).default('status'),
  /** Deliveries of the time: sent afterwards, or never. */
  webhooks: z.enum(['queue', 'lose']).default('queue'),
});
export type Outage = z.infer<typeof Outage>;

export interface FaultBoard {
  readonly faults: Faults;
  readonly outage: Outage | null;
  /** Replaces all switches. */
  set(faults: Faults): void;
  /** Whether this answer is to be spoiled; counts against `times`. */
  spoils(call: string): boolean;
  start(outage: Outage): void;
  close(): void;
}

/** @param onOutageEnd told when an outage that was under way is over */
export function createFaultBoard(onOutageEnd: () => void): FaultBoard {
  let faults = Faults.parse({});
  let left = Number.POSITIVE_INFINITY;
  let outage: Outage | null = null;
  let timer: NodeJS.Timeout | undefined;
  return {
    get faults() {
      return faults;
    },
    get outage() {
      return outage;
    },
    set(next) {
      faults = next;
      left = next.times ?? Number.POSITIVE_INFINITY;
    },
    spoils(call) {
      if (faults.status === null && faults.answer === 'usual') return false;
      if (faults.call !== null && faults.call !== call) return false;
      left -= 1;
      return left >= 0;
    },
    start(next) {
      clearTimeout(timer);
      const wasDown = outage !== null;
      outage = next.seconds === 0 ? null : next;
      const end = (): void => {
        outage = null;
        onOutageEnd();
      };
      if (next.seconds > 0) timer = setTimeout(end, next.seconds * 1_000).unref();
      else if (wasDown) onOutageEnd();
    },
    close: () => clearTimeout(timer),
  };
}
