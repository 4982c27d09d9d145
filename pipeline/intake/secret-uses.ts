import type { Logger } from 'pino';
import type { Database } from '../../storage/database.ts';

/** After a rotation an operator wants to know that the new secret is in use; to the minute is enough. */
const NOTE_EVERY_MS = 60_000;
/** Secrets in memory; forgetting one costs a write too many. */
const MAX_SECRETS_NOTED = 10_000;

/** When each secret signed for the last time, written once a minute and never waited for. */
export function createSecretUses({ db, logger }: { readonly db: Database; readonly logger: Logger }) {
  const noted = new Map<string, number>();
  let writing: Promise<void> = Promise.resolve();

  return {
    /** @param at milliseconds since the epoch */
    note(secretId: string, at: number): void {
      const before = noted.get(secretId);
      if (before !== undefined && Math.abs(at - before) < NOTE_EVERY_MS) return;
      if (noted.size >= MAX_SECRETS_NOTED) noted.clear();
      noted.set(secretId, at);
      writing = writing
        .then(async () => {
          await db.write((tx) =>
            tx.updateTable('secrets').set({ last_used_at: at }).where('id', '=', secretId).execute(),
          );
        })
        .catch((error: unknown) => {
          noted.delete(secretId);
          logger.warn({ err: error }, 'The use of a webhook secret could not be noted');
        });
    },
    close: (): Promise<void> => writing,
  };
}
