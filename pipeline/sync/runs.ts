import type { SyncState, SyncTrigger, UserError } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { newId } from '../../storage/ids.ts';
import type { IntegrationRow, SyncRunRow } from '../../storage/rows.ts';

/** Errors kept of one run; the first ones tell the cause. */
export const MAX_ERRORS = 20;

/** What a run has come to so far. */
export interface Progress {
  readonly listed: number;
  readonly added: number;
  readonly updated: number;
  readonly removed: number;
  readonly unmapped: number;
}

export interface NewRun {
  readonly integration: Pick<IntegrationRow, 'id' | 'org_id'>;
  readonly trigger: SyncTrigger;
  readonly idempotencyKey: string | null;
  readonly startedAt: number;
}

/** @returns the new run, or the one that has this key already */
export async function insertRun(
  db: Database,
  run: NewRun,
): Promise<{ readonly row: SyncRunRow; readonly isNew: boolean }> {
  const row: SyncRunRow = {
    id: newId('sync'),
    org_id: run.integration.org_id,
    integration_id: run.integration.id,
    trigger: run.trigger,
    state: 'RUNNING' satisfies SyncState,
    started_at: run.startedAt,
    finished_at: null,
    listed: 0,
    added: 0,
    updated: 0,
    removed: 0,
    unmapped: 0,
    errors: '[]',
    idempotency_key: run.idempotencyKey,
  };
  return db.write(async (tx) => {
    const before = run.idempotencyKey === null ? null : await byKey(tx, run.integration.id, run.idempotencyKey);
    if (before !== null) return { row: before, isNew: false };
    const inserted = await tx
      .insertInto('sync_runs')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .executeTakeFirst();
    if (inserted !== undefined) return { row, isNew: true };
    const other = await byKey(tx, run.integration.id, run.idempotencyKey ?? '');
    return { row: other ?? row, isNew: false };
  });
}

async function byKey(tx: Pick<Tx, 'selectFrom'>, integrationId: string, key: string): Promise<SyncRunRow | null> {
  const row = await tx
    .selectFrom('sync_runs')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .where('idempotency_key', '=', key)
    .executeTakeFirst();
  return row ?? null;
}

/** The run that has this key, or null. */
export async function findRun(db: Database, integrationId: string, key: string): Promise<SyncRunRow | null> {
  return byKey(db.read, integrationId, key);
}

/**
 * Ties a key to the run that another process has under way, so that repeating it answers with the same run.
 *
 * @returns that run, or null when none runs or it has a key of its own
 */
export async function adoptRunning(db: Database, integrationId: string, key: string): Promise<SyncRunRow | null> {
  return db.write(async (tx) => {
    const running = await tx
      .selectFrom('sync_runs')
      .select('id')
      .where('integration_id', '=', integrationId)
      .where('state', '=', 'RUNNING')
      .where('idempotency_key', 'is', null)
      .orderBy('started_at', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (running === undefined) return null;
    const row = await tx
      .updateTable('sync_runs')
      .set({ idempotency_key: key })
      .where('id', '=', running.id)
      .returningAll()
      .executeTakeFirst();
    return row ?? null;
  });
}

export async function noteProgress(tx: Tx, runId: string, progress: Progress): Promise<void> {
  await tx.updateTable('sync_runs').set(progress).where('id', '=', runId).execute();
}

/** Ends a run for good. @returns the row as it stays */
export async function finishRun(
  tx: Tx,
  run: SyncRunRow,
  end: {
    readonly state: Exclude<SyncState, 'RUNNING'>;
    readonly progress: Progress;
    readonly errors: readonly UserError[];
    readonly finishedAt: number;
  },
): Promise<SyncRunRow> {
  const changes = {
    ...end.progress,
    state: end.state,
    finished_at: end.finishedAt,
    errors: JSON.stringify(end.errors.slice(0, MAX_ERRORS)),
  };
  await tx.updateTable('sync_runs').set(changes).where('id', '=', run.id).execute();
  return { ...run, ...changes };
}

/** Runs that a process left behind when it died. Call it only as the owner of the integration's sync lease. */
export async function failOrphans(
  db: Database,
  integrationId: string,
  own: ReadonlySet<string>,
  now: number,
): Promise<void> {
  const running = await db.read
    .selectFrom('sync_runs')
    .select('id')
    .where('integration_id', '=', integrationId)
    .where('state', '=', 'RUNNING')
    .execute();
  const orphans = running.map(({ id }) => id).filter((id) => !own.has(id));
  if (orphans.length === 0) return;
  const error: UserError = {
    code: 'OTHER',
    message: 'The process that ran this sync ended before the sync did.',
    path: null,
    hint: 'The next sync repeats it.',
  };
  await db.write(async (tx) => {
    await tx
      .updateTable('sync_runs')
      .set({ state: 'FAILED', finished_at: now, errors: JSON.stringify([error]) })
      .where('id', 'in', orphans)
      .where('state', '=', 'RUNNING')
      .execute();
  });
}
