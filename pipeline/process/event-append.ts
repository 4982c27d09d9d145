import { type Transaction, sql } from 'kysely';
import { insertEvents } from '../../storage/event-log.ts';
import { rememberEvents } from '../../storage/event-dedupe.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { Tables } from '../../storage/tables.ts';
import type { StatusTransition, TransitionHook } from '../status/transitions.ts';
import type { Unnumbered } from './event-rows.ts';

/** A row on its way into the log. */
export interface Entry {
  readonly row: Unnumbered;
  /** Under which it is remembered as seen; null: nobody can send it again. */
  readonly dedupeKey: Buffer | null;
  /** How often it came again in the same batch. */
  repeats: number;
}

/** What else follows from new events, in the same transaction and before their numbers are taken. */
export type Follow = (db: Database, tx: Tx, integration: IntegrationRow, rows: readonly Unnumbered[]) => Promise<void>;

export interface AppendDeps {
  readonly db: Database;
  readonly follow?: Follow;
  /** What follows from changes of state. */
  readonly onTransitions?: TransitionHook;
}

/** One writer per integration at a time: PostgreSQL needs to be told, SQLite has one writer anyway. */
export async function lockIntegration(db: Database, tx: Transaction<Tables>, integrationId: string): Promise<void> {
  if (db.engine !== 'postgres') return;
  await tx.selectFrom('integrations').select('id').where('id', '=', integrationId).forUpdate().execute();
}

/**
 * Logs events of one integration, whose devices were written before, and moves the org's revision. Log numbers are
 * taken as late as possible: from then on other writers of the log wait.
 */
export async function appendEvents(
  { db, follow, onTransitions }: AppendDeps,
  tx: Tx,
  integration: IntegrationRow,
  entries: readonly Entry[],
  transitions: readonly StatusTransition[],
): Promise<void> {
  if (entries.length === 0) return;
  if (transitions.length > 0) await onTransitions?.(db, tx, integration, transitions);
  await follow?.(
    db,
    tx,
    integration,
    entries.map(({ row }) => row),
  );
  const firstSeq = await db.takeSequence(tx, entries.length);
  await rememberEvents(
    db,
    tx,
    entries.flatMap(({ row, dedupeKey, repeats }, at) =>
      dedupeKey === null ? [] : [{ key: dedupeKey, seq: firstSeq + at, duplicates: repeats, seenAt: row.received_at }],
    ),
  );
  await insertEvents(
    db,
    tx,
    entries.map(({ row }, at) => ({ seq: firstSeq + at, ...row })),
  );
  await tx
    .updateTable('orgs')
    .set({ revision: sql<number>`revision + 1` })
    .where('id', '=', integration.org_id)
    .execute();
}
