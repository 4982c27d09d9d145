// What our listener puts into the inbox beside the platform's own words. `decode.ts` reads it, `listen.ts` writes it.
import { z } from 'zod';

/**
 * Headers that carry what the platform's frames do not: its own names for their ids, as they were when the frame arrived, so
 * that decoding needs to ask nobody. No name may look like a credential's, or the inbox would drop it.
 */
export const HEADERS = {
  /** Name of the event type. */
  name: 'x-milestone-type-name',
  /** The state it puts the source in. */
  state: 'x-milestone-state',
  /** Name of the state group. */
  group: 'x-milestone-state-group',
  /** Name of the source. */
  source: 'x-milestone-source-name',
  /** `down`: its recording server could not be reached when it arrived. */
  parent: 'x-milestone-parent',
} as const;

/** The inbox keeps so many characters of a header. */
export const MAX_HEADER = 256;

/** Devices of one derived message; a recording server has a few hundred. */
export const MAX_DERIVED = 500;

/** What follows for devices from the state of their recording server; the platform does not say it itself. */
export const Derived = z.object({
  derived: z.object({
    parent: z.string().min(1).max(200),
    parentState: z.string().min(1).max(200),
    isDown: z.boolean(),
    /** As the platform sent it. */
    time: z.string().min(1).max(64),
    devices: z
      .array(
        z.object({ source: z.string().min(1).max(200), word: z.string().min(1).max(200), time: z.string().max(64) }),
      )
      .min(1)
      .max(MAX_DERIVED),
  }),
});
export type Derived = z.infer<typeof Derived>;
