import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { CheckpointMode, type CheckpointReply, CheckpointWorkerData } from './checkpoint-message.ts';

/** `truncate` keeps writers out while it waits for readers: not for longer than they are ready to wait. */
const BUSY_TIMEOUT_MS = 1_000;

const { file } = CheckpointWorkerData.parse(workerData);
const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
database.exec('pragma synchronous=full; pragma wal_autocheckpoint=0');

function checkpoint(mode: 'passive' | 'truncate'): CheckpointReply {
  try {
    // Most of the log goes without keeping anyone out; what is left for the strict mode is small.
    database.exec('pragma wal_checkpoint(passive)');
    if (mode === 'truncate') database.exec('pragma wal_checkpoint(truncate)');
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
