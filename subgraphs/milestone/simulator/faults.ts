import { z } from 'zod';

/** Switches of misbehaviour; what a request does not name is as it should be, so that `{}` heals the platform. */
export const Faults = z.strictObject({
  /** REST answers of this status. */
  status: z.int().min(300).max(599).nullable().default(null),
  /** Only REST paths with this text in them, in lower case. */
  path: z.string().default(''),
  /** After so many spoiled answers the rest is good. */
  times: z.int().min(1).nullable().default(null),
  /** Milliseconds before any REST answer. */
  delayMs: z.int().min(0).max(120_000).default(0),
  /** Lists are answered whole, whatever page is asked for. */
  ignorePaging: z.boolean().default(false),
  /** What the identity provider says to a right password. */
  account: z.enum(['open', 'locked', 'must-change', 'broken']).default('open'),
  /** Life of new tokens, in seconds. */
  tokenSeconds: z.number().positive().default(3_600),
  /** What is answered to an upgrade: 404 is a release before 2023 R3. */
  upgradeStatus: z.int().min(400).max(599).nullable().default(null),
  /** How long a session outlives its connection, in seconds. */
  resumeSeconds: z.number().min(0).default(30),
  /** Milliseconds before states are answered; events go out meanwhile. */
  snapshotDelayMs: z.int().min(0).max(300_000).default(0),
  /** Another event between every command and its answer. */
  chatter: z.boolean().default(false),
  /** Replayed events are sent twice. */
  replayTwice: z.boolean().default(false),
  /** All events of this many milliseconds in one frame; 0: at once, one by one. */
  batchMs: z.int().min(0).max(10_000).default(0),
  /** Commands of this name are refused. */
  refuse: z.string().default(''),
  /** The user's role lets it create nothing and trigger nothing. */
  readOnly: z.boolean().default(false),
  /** What is created or triggered is, and answered with 502. */
  losesAnswers: z.boolean().default(false),
  /** Whether events are stored: their type's retention in the Management Client, none by default there for many. */
  isStored: z.boolean().default(true),
  /** Where the driver settings are: as 2025 R2 has them, with a capital, or as a list. */
  driverShape: z.enum(['data', 'capital', 'array']).default('data'),
  /** Webhooks carry the signature of the empty token, as they do where nobody entered one. */
  emptyToken: z.boolean().default(false),
});
export type Faults = z.infer<typeof Faults>;
