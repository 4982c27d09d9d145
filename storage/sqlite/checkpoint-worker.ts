import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { CheckpointMode, type CheckpointReply, CheckpointWorkerData } from './checkpoint-message.ts';

/** `truncate` keeps writers out while it waits for readers: not for longer than they are ready to wait. */
const BUSY_TIMEOUT_MS = 1_000;
/** Pages, some 8 MB: what the strict mode copies while writers wait. */
const MAX_STRICT_PAGES = 2_000;
/** Each time writers add less than the time before, unless the disk cannot keep up. */
const MAX_ROUNDS = 5;

const Outcome = z.object({ log: z.int(), checkpointed: z.int() });

const { file } = CheckpointWorkerData.parse(workerData);
const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
database.exec('pragma synchronous=full; pragma wal_autocheckpoint=0');

/** Copies without keeping anyone out. @returns how many pages are left */
function copyPassively(): number {
  const { log, checkpointed } = Outcome.parse(database.prepare('pragma wal_checkpoint(passive)').get());
  return log - checkpointed;
}

function checkpoint(mode: 'passive' | 'truncate' | 'force'): CheckpointReply {
  try {
    let left = copyPassively();
    if (mode === 'passive') return { ok: true };
    for (let round = 1; round < MAX_ROUNDS && left > MAX_STRICT_PAGES; round += 1) left = copyPassively();
    if (left <= MAX_STRICT_PAGES || mode === 'force') database.exec('pragma wal_checkpoint(truncate)');
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : 'unknown' };
  }
}

parentPort?.on('message', (message: unknown) => {
  const mode = CheckpointMode.parse(message);
  if (mode === 'stop') {
    database.close();
    parentPort?.close();
  } else {
    parentPort?.postMessage(checkpoint(mode));
  }
});
