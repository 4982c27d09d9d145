import { z } from 'zod';

/**
 * `passive` copies what it can without waiting; `truncate` starts the log over when little is left to copy, for which
 * writers wait; `force` does it however much is left.
 */
export const CheckpointMode = z.enum(['passive', 'truncate', 'force', 'stop']);
export type CheckpointMode = z.infer<typeof CheckpointMode>;

export const CheckpointReply = z.object({ ok: z.boolean(), reason: z.string().optional() });
export type CheckpointReply = z.infer<typeof CheckpointReply>;

export const CheckpointWorkerData = z.object({ file: z.string() });
