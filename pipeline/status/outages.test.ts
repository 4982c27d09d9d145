import { describe, expect, it } from 'vitest';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { NOON, seed } from '../testing.ts';
import { createAliveJob, isPlatformDown, OURSELVES, outageCauseOf } from './outages.ts';

const SECOND = 1_000;

describe('whether a source can be heard', () => {
  it.each([
    [{ enabled: 1, error_code: null, silent_since: null }, null, false],
    [{ enabled: 1, error_code: 'UNREACHABLE', silent_since: null }, 'UNREACHABLE', true],
    [{ enabled: 1, error_code: 'TIMEOUT', silent_since: null }, 'TIMEOUT', true],
    // It answers, only not us: a person must act, and the platform is not to blame.
    [{ enabled: 1, error_code: 'UNAUTHENTICATED', silent_since: null }, 'UNAUTHENTICATED', false],
    [{ enabled: 1, error_code: 'RATE_LIMITED', silent_since: null }, null, false],
    [{ enabled: 1, error_code: null, silent_since: 1 }, 'SILENCE', true],
    [{ enabled: 0, error_code: 'UNREACHABLE', silent_since: 1 }, 'DISABLED', false],
    // It was there: some of its pages were not.
    [{ enabled: 1, error_code: 'TIMEOUT', silent_since: null, last_sync_state: 'PARTIAL' }, null, false],
  ])('%j: %s, away %s', (given, cause, isDown) => {
    const vitals = { last_sync_state: 'FAILED', ...given };
    expect(outageCauseOf(vitals)).toBe(cause);
    expect(isPlatformDown(vitals)).toBe(isDown);
  });
});

eachEngine('our own downtime', (open) => {
  it('is noted after a gap, and those whom nobody could hear are waited for that much longer', async () => {
    const db = await open();
    const { integration } = await seed(db);
    await db.write((tx) =>
      tx
        .updateTable('devices')
        .set({ silence_due_at: NOON + 30 * SECOND })
        .where('native_id', '=', 'cam-1')
        .execute(),
    );
    const before = createAliveJob({ db });
    await before.run(NOON);
    await before.run(NOON + 10 * SECOND);
    const after = createAliveJob({ db });
    await after.run(NOON + 3_610 * SECOND);
    await after.run(NOON + 3_620 * SECOND);
    expect(await db.read.selectFrom('source_outages').selectAll().execute()).toEqual([
      { integration_id: OURSELVES, from_at: NOON + 10 * SECOND, to_at: NOON + 3_610 * SECOND, cause: 'DOWNTIME' },
    ]);
    const due = await db.read
      .selectFrom('devices')
      .select('silence_due_at')
      .where('id', '=', deviceId(integration.id, 'cam-1'))
      .execute();
    expect(due).toEqual([{ silence_due_at: NOON + 3_630 * SECOND }]);
  });

  it('is none where the clock was set back, and is noted by the clock of now', async () => {
    const db = await open();
    const job = createAliveJob({ db });
    await job.run(NOON);
    await job.run(NOON - 3_600 * SECOND);
    await job.run(NOON - 3_500 * SECOND);
    await createAliveJob({ db }).run(NOON - 3_480 * SECOND);
    const outages = await db.read.selectFrom('source_outages').selectAll().execute();
    expect(outages).toMatchObject([{ from_at: NOON - 3_600 * SECOND, to_at: NOON - 3_500 * SECOND }]);
  });

  it('makes nothing wait longer that waits while the clock is set back', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const job = createAliveJob({ db });
    await job.run(NOON);
    const until = {
      silence_due_at: NOON + 40 * SECOND,
      pending_until: NOON + 50 * SECOND,
      flap_until: NOON + 60 * SECOND,
    };
    await db.write((tx) => tx.updateTable('devices').set(until).where('native_id', '=', 'cam-1').execute());
    const row = async (name: string) =>
      db.read
        .selectFrom('devices')
        .select(['silence_due_at', 'pending_until', 'flap_until'])
        .where('id', '=', deviceId(integration.id, name))
        .executeTakeFirstOrThrow();
    // Half a minute is what the clocks of two machines may differ by.
    await job.run(NOON - 30 * SECOND);
    expect(await row('cam-1')).toEqual(until);
    await job.run(NOON - 3_630 * SECOND);
    const hour = 3_600 * SECOND;
    expect(await row('cam-1')).toEqual({
      silence_due_at: until.silence_due_at - hour,
      pending_until: until.pending_until - hour,
      flap_until: until.flap_until - hour,
    });
    expect(await row('cam-2')).toEqual({ silence_due_at: null, pending_until: null, flap_until: null });
  });

  it('is not a restart', async () => {
    const db = await open();
    await createAliveJob({ db }).run(NOON);
    await createAliveJob({ db }).run(NOON + 60 * SECOND);
    expect(await db.read.selectFrom('source_outages').selectAll().execute()).toEqual([]);
  });
});
