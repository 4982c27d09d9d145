import { expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { DeviceState } from '../../schema/words.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createEventWriter } from '../process/event-writer.ts';
import { NOON, seed } from '../testing.ts';
import { createSilenceJob } from './silence.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LIMIT = 3 * HOUR;
const VERDICT = NOON + LIMIT;

interface Sign {
  readonly at: number;
  /** Null: a sign of life that says nothing else. */
  readonly state: DeviceState | null;
}

eachEngine('signs of life that come after their device was taken for silent', (open) => {
  /** A device that was heard at noon, said nothing more, and is silent since three. */
  async function start(state: DeviceState = 'ONLINE') {
    const db = await open();
    const { integration } = await seed(db);
    const events = createEventWriter({ db, silence: { silenceLimitOf: () => LIMIT, note: () => {} } });
    const job = createSilenceJob({ db, writer: () => events });
    const id = deviceId(integration.id, 'cam-1');
    const draft = (sign: Sign): EventDraft => ({
      vendorEventId: null,
      family: 'SUPERVISION',
      type: 'supervision.last_seen',
      vendorCode: null,
      severity: 'INFO',
      occurredAt: new Date(sign.at),
      nativeOrgId: null,
      nativeSiteId: null,
      nativeDeviceId: 'cam-1',
      claim:
        sign.state === null ? null : { state: sign.state, reason: 'REPORTED', vendorState: null, observedAt: null },
      isLifeSign: sign.state !== 'OFFLINE',
      summary: 'routine check',
      details: {},
      raw: null,
    });
    const hear = (now: number, ...signs: readonly Sign[]) =>
      db.write((tx) => events.writeEvents(tx, integration, signs.map(draft), 'WEBHOOK', now));
    await hear(NOON, { at: NOON, state });
    await job.run(VERDICT);
    return {
      db,
      job,
      hear,
      row: () => db.read.selectFrom('devices').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
      /** As `state reason minute`, from noon on. */
      history: async () => {
        const rows = await db.read
          .selectFrom('status_segments')
          .selectAll()
          .where('device_id', '=', id)
          .where('from_at', '>=', NOON)
          .orderBy('from_at')
          .execute();
        return rows.map((each) => `${each.state} ${each.reason} ${(each.from_at - NOON) / MINUTE}`);
      },
      changes: async () => {
        const rows = await db.read.selectFrom('events').selectAll().where('changed', '=', 1).orderBy('seq').execute();
        return rows.map((each) => `${each.previous_state} ${each.state}`);
      },
    };
  }

  it('take it back, from the history too, and are told', async () => {
    const { hear, row, history, changes, job } = await start();
    expect(await history()).toEqual(['ONLINE REPORTED 0', 'UNKNOWN SILENCE 180']);
    await hear(VERDICT + MINUTE, { at: NOON + HOUR, state: 'ONLINE' }, { at: NOON + 2 * HOUR, state: 'ONLINE' });
    expect(await row()).toMatchObject({
      state: 'ONLINE',
      state_rank: 3,
      state_since: NOON,
      last_seen_at: NOON + 2 * HOUR,
      silence_due_at: NOON + 2 * HOUR + LIMIT,
    });
    expect((await row()).evidence).not.toContain('SILENCE');
    expect(await history()).toEqual(['ONLINE REPORTED 0']);
    expect(await changes()).toEqual(['UNKNOWN ONLINE', 'ONLINE UNKNOWN', 'UNKNOWN ONLINE']);
    // From now on it is waited for as for any other.
    await job.run(NOON + 2 * HOUR + LIMIT);
    expect(await history()).toEqual(['ONLINE REPORTED 0', 'UNKNOWN SILENCE 300']);
  });

  it('do not let it come back when the history is gone over again', async () => {
    const { hear, history } = await start();
    await hear(VERDICT + MINUTE, { at: NOON + 2 * HOUR, state: 'ONLINE' });
    await hear(VERDICT + 2 * MINUTE, { at: NOON + 30 * MINUTE, state: 'OFFLINE' });
    await hear(VERDICT + 3 * MINUTE, { at: VERDICT + MINUTE, state: 'ONLINE' });
    await hear(VERDICT + 4 * MINUTE, { at: NOON + 20 * MINUTE, state: 'DEGRADED' });
    expect(await history()).toEqual([
      'ONLINE REPORTED 0',
      'DEGRADED REPORTED 20',
      'OFFLINE REPORTED 30',
      'ONLINE REPORTED 120',
    ]);
  });

  it('leave it where normal silence counted from them is over too', async () => {
    const { hear, row, history } = await start();
    await hear(NOON + HOUR + LIMIT, { at: NOON + HOUR, state: 'ONLINE' });
    expect(await row()).toMatchObject({ state: 'UNKNOWN', state_reason: 'SILENCE', last_seen_at: NOON + HOUR });
    expect(await history()).toEqual(['ONLINE REPORTED 0', 'UNKNOWN SILENCE 180']);
  });

  it('leave it where they are older than what was known', async () => {
    const { hear, row } = await start();
    await hear(VERDICT + MINUTE, { at: NOON - MINUTE, state: 'ONLINE' });
    expect(await row()).toMatchObject({ state: 'UNKNOWN', state_reason: 'SILENCE', last_seen_at: NOON });
  });

  it('close the gap together with signs of after it', async () => {
    const { hear, row, history } = await start();
    const late = VERDICT + 10 * HOUR;
    const signs = [NOON + 2 * HOUR, VERDICT + HOUR, late].map((at) => ({ at, state: 'ONLINE' }) as const);
    await hear(late, ...signs);
    expect(await row()).toMatchObject({ state: 'ONLINE', last_seen_at: late });
    expect(await history()).toEqual(['ONLINE REPORTED 0']);
  });

  it('leave a fault as it was', async () => {
    const { hear, row, changes } = await start('DEGRADED');
    await hear(VERDICT + MINUTE, { at: NOON + 2 * HOUR, state: null }, { at: NOON + 2 * HOUR + MINUTE, state: null });
    expect(await row()).toMatchObject({ state: 'DEGRADED', state_reason: 'REPORTED', state_since: NOON });
    expect((await changes()).at(-1)).toBe('UNKNOWN DEGRADED');
    expect(await changes()).toHaveLength(3);
  });

  const told = [
    { at: NOON + HOUR, state: 'ONLINE' },
    { at: NOON + 2 * HOUR, state: 'OFFLINE' },
    { at: NOON + 90 * MINUTE, state: 'DEGRADED' },
  ] as const satisfies readonly Sign[];
  it.each([
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ])('come to the same in whatever order they come: %i %i %i', async (...order) => {
    const { hear, row, history } = await start();
    for (const [minute, at] of order.entries()) {
      const sign = told[at];
      if (sign !== undefined) await hear(VERDICT + minute * MINUTE, sign);
    }
    expect(await row()).toMatchObject({ state: 'OFFLINE', state_since: NOON + 2 * HOUR });
    expect(await history()).toEqual(['ONLINE REPORTED 0', 'DEGRADED REPORTED 90', 'OFFLINE REPORTED 120']);
  });
});
