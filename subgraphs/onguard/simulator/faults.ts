import { z } from 'zod';

/** Switches of misbehaviour; what a request does not name is as it should be, so that `{}` heals the platform. */
export const Faults = z.strictObject({
  /** Calls answer with this status. */
  status: z.int().min(300).max(599).nullable().default(null),
  /** Its OpenAccess code; null: a body of HTML, as when the service behind the web server is down. */
  code: z.string().nullable().default(null),
  /** Only calls whose path begins so are spoiled (`instances`, `execute_method`, `logged_events`, …). */
  call: z.string().nullable().default(null),
  /** After so many spoiled answers the rest is good. */
  times: z.int().min(1).nullable().default(null),
  /** Milliseconds before any answer. */
  delayMs: z.int().min(0).max(120_000).default(0),
  segmented: z.boolean().default(true),
  /** Types of object that the release does not know. */
  missingTypes: z.array(z.string()).default([]),
  /** A release that sorts by one name only. */
  singleSort: z.boolean().default(false),
  /** Records of `/logged_events` come wrapped in `property_value_map`. */
  wrappedLog: z.boolean().default(false),
  /** Events are described in German. */
  german: z.boolean().default(false),
  webSockets: z.enum(['on', 'off', 'refused']).default('on'),
  /** The bridge goes on without keep-alives and says nothing more. */
  mute: z.boolean().default(false),
  /** Devices of operators that were switched off. */
  disabledPanels: z.array(z.int()).default([]),
  cameras: z.boolean().default(false),
  /** Added to every `total_items`. */
  totalOff: z.int().default(0),
});
export type Faults = z.infer<typeof Faults>;

export interface FaultBoard {
  readonly faults: () => Faults;
  set(faults: Faults): void;
  /** Whether this call is to be spoiled; counts against `times`. */
  spoils(path: string): boolean;
}

export function createFaultBoard(): FaultBoard {
  let faults = Faults.parse({});
  let left = Number.POSITIVE_INFINITY;
  return {
    faults: () => faults,
    set(next) {
      faults = next;
      left = next.times ?? Number.POSITIVE_INFINITY;
    },
    spoils(path) {
      if (faults.status === null || (faults.call !== null && !path.startsWith(faults.call))) return false;
      left -= 1;
      return left >= 0;
    },
  };
}
