import { z } from 'zod';

/** `copy` moves pages to the database and starts the log over when it is long; `stop` ends the thread. */
export const CheckpointOrder = z.enum(['copy', 'stop']);
export type CheckpointOrder = z.infer<typeof CheckpointOrder>;

export const CheckpointReply = z.object({ ok: z.boolean(), reason: z.string().optional() });
export type CheckpointReply = z.infer<typeof CheckpointReply>;

/** @see CheckpointerOptions */
export const CheckpointWorkerData = z.object({ file: z.string(), maxWalBytes: z.int().positive() });
export type CheckpointWorkerData = z.infer<typeof CheckpointWorkerData>;
