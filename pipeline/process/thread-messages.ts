import { z } from 'zod';

// What the thread that processes deliveries and the one that started it tell each other.

/** What the thread is started with. */
export const ProcessingThreadData = z.object({
  databaseUrl: z.string(),
  logLevel: z.string(),
  /** Of the turns at writing, see storage/sqlite/write-turn.ts. */
  turns: z.instanceof(SharedArrayBuffer),
});
export type ProcessingThreadData = z.infer<typeof ProcessingThreadData>;

export const ToThread = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('start') }),
  /** Something came into the inbox. */
  z.object({ kind: z.literal('ring') }),
  z.object({ kind: z.literal('process'), id: z.int(), integrationId: z.string() }),
  z.object({ kind: z.literal('stop') }),
]);
export type ToThread = z.infer<typeof ToThread>;

export const FromThread = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('rings'), topics: z.array(z.string()) }),
  /** `error`: the message of what `process` threw, or null. */
  z.object({ kind: z.literal('processed'), id: z.int(), error: z.string().nullable() }),
  z.object({ kind: z.literal('devicesAdded'), integrationId: z.string() }),
]);
export type FromThread = z.infer<typeof FromThread>;
