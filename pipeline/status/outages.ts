import type { Kysely } from 'kysely';
import type { Database, Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { Tables } from '../../storage/tables.ts';
import { isDueAgain } from './due.ts';
import type { StatusJob } from './keeper.ts';
import { settleFuture } from './set-back.ts';

// When a source could not be heard, and when we ourselves were away: what a device's history cannot know.

type Vitals = Pick<IntegrationRow, 'enabled' | 'error_code' | 'last_sync_state' | 'silent_since'>;

/** Errors after which nobody can say how the devices behind a platform are. A platform that is slow or odd still tells. */
const DEAF: ReadonlySet<string> = new Set([
  'UNREACHABLE',
  'TIMEOUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BLOCKED_ADDRESS',
  'MISCONFIGURED',
]);

/** Errors that say that the platform is away, and not that we may not ask it. */
const AWAY: ReadonlySet<string> = new Set(['UNREACHABLE', 'TIMEOUT']);

/** What fails now, unless it is only a part: a platform of which a page was not to be had was there. */
function failureOf({ error_code: code, last_sync_state: state }: Vitals): string | null {
  return state === 'PARTIAL' ? null : code;
}

/** Why an integration cannot be heard; null: it can. Pure. */
export function outageCauseOf(vitals: Vitals): string | null {
  if (vitals.enabled !== 1) return 'DISABLED';
  const code = failureOf(vitals);
  if (code !== null && DEAF.has(code)) return code;
  return vitals.silent_since === null ? null : 'SILENCE';
}

/** Whether the platform behind an integration is away. Pure. */
export function isPlatformDown(vitals: Vitals): boolean {
  const code = failureOf(vitals);
  return vitals.enabled === 1 && ((code !== null && AWAY.has(code)) || vitals.silent_since !== null);
}

/**
 * Begins or ends an outage in the transaction that changes the integration.
 *
 * @param now milliseconds since the epoch
 */
export async function noteOutage(tx: Tx, before: IntegrationRow, after: IntegrationRow, now: number): Promise<void> {
  const cause = outageCauseOf(after);
  const was = outageCauseOf(before);
  if (was === null && cause !== null) {
    // A silent platform has said nothing since it was heard last.
    const from = cause === 'SILENCE' ? (after.silent_since ?? now) : now;
    await tx
      .insertInto('source_outages')
      .values({ integration_id: after.id, from_at: from, to_at: null, cause })
      .onConflict((conflict) => conflict.columns(['integration_id', 'from_at']).doUpdateSet({ to_at: null, cause }))
      .execute();
  }
  if (was !== null && cause === null) {
    await tx
      .updateTable('source_outages')
      .set({ to_at: now })
      .where('integration_id', '=', after.id)
      .where('to_at', 'is', null)
      .execute();
  }
}

/** Silences, outages that have to last and flapping that has to end: each ends at an instant by our clock. */
async function waitBySetClock(tx: Tx, setBackMs: number): Promise<void> {
  for (const column of ['silence_due_at', 'pending_until', 'flap_until'] as const) {
    await tx
      .updateTable('devices')
      .set((eb) => ({ [column]: eb(column, '-', setBackMs) }))
      .where(column, 'is not', null)
      .execute();
  }
}

const ALIVE = 'alive_at';

async function readAlive(db: Kysely<Tables>): Promise<number | null> {
  const row = await db.selectFrom('meta').select('value').where('key', '=', ALIVE).executeTakeFirst();
  return row === undefined ? null : Number(row.value);
}

/** How often we leave a sign that we work. */
const ALIVE_MS = 10_000;
/** A longer gap is an outage of ours; a shorter one is a restart. And clocks of two machines may differ by as much. */
const AWAY_MS = 60_000;
/** The outages of ourselves stand under no integration. */
export const OURSELVES = '';

/**
 * Notes that we work, and afterwards when we did not. Devices were not silent while nobody listened: what waits for them
 * waits that much longer. When our clock was set back, what waits for an instant by the clock of before waits for the
 * same time by the clock of now, and what is known is of now at the latest: no more than a minute is lost. To be run before the job that judges silence.
 */
export function createAliveJob({ db }: { readonly db: Database }): StatusJob {
  let notedAt = Number.NEGATIVE_INFINITY;

  return {
    name: 'alive',
    async run(now) {
      if (!isDueAgain(notedAt, ALIVE_MS, now)) return false;
      const noted = await readAlive(db.read);
      // Before it is noted: after a crash in between it is done again.
      if (noted !== null && noted - now > AWAY_MS) await settleFuture(db, now);
      await db.write(async (tx) => {
        const last = await readAlive(tx);
        const value = String(now);
        await tx
          .insertInto('meta')
          .values({ key: ALIVE, value })
          .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
          .execute();
        if (last !== null && last - now > AWAY_MS) await waitBySetClock(tx, last - now);
        if (last === null || now - last <= AWAY_MS) return;
        await tx
          .insertInto('source_outages')
          .values({ integration_id: OURSELVES, from_at: last, to_at: now, cause: 'DOWNTIME' })
          .onConflict((conflict) => conflict.columns(['integration_id', 'from_at']).doUpdateSet({ to_at: now }))
          .execute();
        await tx
          .updateTable('devices')
          .set((eb) => ({ silence_due_at: eb('silence_due_at', '+', now - last) }))
          .where('silence_due_at', 'is not', null)
          .execute();
      });
      notedAt = now;
      return false;
    },
  };
}
