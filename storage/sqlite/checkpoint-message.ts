import { z } from 'zod';

/** `passive` copies what it can without waiting; `truncate` waits for readers and starts the log over. */
export const CheckpointMode = z.enum(['passive', 'truncate', 'stop']);
export type CheckpointMode = z.infer<typeof CheckpointMode>;

export const CheckpointReply = z.object({ ok: z.boolean(), reason: z.string().optional() });
export type CheckpointReply = z.infer<typeof CheckpointReply>;

export const CheckpointWorkerData = z.object({ file: z.string() });
