import type { Database } from '../../storage/database.ts';
import {
  type DeadLetterRow,
  type DeadLetterSelection,
  findReplayable,
  reviveDeadLetters,
  stillUnusable,
} from '../../storage/inbox-dead-letters.ts';
import type { Processor } from '../process/processor.ts';

/** Letters given back to the processor at once. */
const CHUNK = 500;
/** In one call: some minutes of work at most. The same call again goes on with the rest. */
const MAX_REPLAYED = 10_000;
/** Of those that still fail, how many are shown. */
export const MAX_STILL_FAILING = 100;

export interface Replay {
  /** How many are settled now. */
  readonly replayed: number;
  /** Those that still cannot be used, oldest first, the first MAX_STILL_FAILING. */
  readonly stillFailing: readonly DeadLetterRow[];
}

export interface DeadLetters {
  /**
   * Processes dead letters of an integration again and waits for it. What became an event before is not doubled, so a
   * replay may be repeated at will. The caller has checked that the integration is the principal's to repair.
   *
   * @param selection absent members mean all; letters that were refused are never replayed
   */
  replay(integrationId: string, selection?: DeadLetterSelection): Promise<Replay>;
}

export function createDeadLetters({
  db,
  processor,
}: {
  readonly db: Database;
  readonly processor: Pick<Processor, 'process'>;
}): DeadLetters {
  return {
    async replay(integrationId, selection = {}) {
      let replayed = 0;
      let after = 0;
      const stillFailing: DeadLetterRow[] = [];
      for (let taken = 0; taken < MAX_REPLAYED; taken += CHUNK) {
        const ids = await findReplayable(db, integrationId, selection, after, CHUNK);
        const last = ids.at(-1);
        if (last === undefined) break;
        after = last;
        await db.write((tx) => reviveDeadLetters(tx, ids));
        await processor.process(integrationId);
        const failing = await stillUnusable(db, ids);
        replayed += ids.length - failing.length;
        stillFailing.push(...failing.slice(0, MAX_STILL_FAILING - stillFailing.length));
      }
      return { replayed, stillFailing };
    },
  };
}
