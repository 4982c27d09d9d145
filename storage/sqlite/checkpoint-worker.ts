import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { giveWayToOtherThreads } from '../thread-priority.ts';
import { CheckpointOrder, type CheckpointReply, CheckpointWorkerData } from './checkpoint-message.ts';

/** To start the log over keeps writers out while it waits for readers: not for longer than they are ready to wait. */
const BUSY_TIMEOUT_MS = 1_000;
/** Pages, some 8 MB: what is copied while writers wait. */
const MAX_STRICT_PAGES = 2_000;
/** Each time writers add less than the time before, unless the disk cannot keep up. */
const MAX_ROUNDS = 5;
/** The log is started over at so many times its bound even when writers have to wait for all of it. */
const FORCE_FACTOR = 8;
/** A file that grew to so many times the bound, because nobody could start it over, is made short again. */
const SHORTEN_FACTOR = 4;

const Outcome = z.object({ log: z.int(), checkpointed: z.int() });
const PageSize = z.object({ page_size: z.int() });

giveWayToOtherThreads();
const { file, maxWalBytes } = CheckpointWorkerData.parse(workerData);
const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
database.exec('pragma synchronous=full; pragma wal_autocheckpoint=0');
const { page_size: pageBytes } = PageSize.parse(database.prepare('pragma page_size').get());

/** Copies without keeping anyone out. */
function copyPassively(): { readonly bytes: number; readonly pagesLeft: number } {
  const { log, checkpointed } = Outcome.parse(database.prepare('pragma wal_checkpoint(passive)').get());
  return { bytes: log * pageBytes, pagesLeft: log - checkpointed };
}

function checkpoint(): void {
  let { bytes, pagesLeft } = copyPassively();
  if (bytes <= maxWalBytes) return;
  for (let round = 1; round < MAX_ROUNDS && pagesLeft > MAX_STRICT_PAGES; round += 1) {
    ({ bytes, pagesLeft } = copyPassively());
  }
  if (pagesLeft > MAX_STRICT_PAGES && bytes <= maxWalBytes * FORCE_FACTOR) return;
  // Not truncated as a rule: to write over what is there takes a tenth of the time that it takes to make a file longer.
  const isTooLong = statSync(`${file}-wal`).size > maxWalBytes * SHORTEN_FACTOR;
  database.exec(`pragma wal_checkpoint(${isTooLong ? 'truncate' : 'restart'})`);
}

function answer(): CheckpointReply {
  try {
    checkpoint();
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : 'unknown' };
  }
}

parentPort?.on('message', (message: unknown) => {
  if (CheckpointOrder.parse(message) === 'stop') {
    database.close();
    parentPort?.close();
  } else {
    parentPort?.postMessage(answer());
  }
});
