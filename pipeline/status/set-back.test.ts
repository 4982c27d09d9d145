import { expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { DeviceState } from '../../schema/words.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createEventWriter } from '../process/event-writer.ts';
import { NOON, seed } from '../testing.ts';
import { createAliveJob } from './outages.ts';
import { createSilenceJob } from './silence.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LIMIT = 5 * MINUTE;
/** An hour is to come once more. */
const AGAIN = NOON - HOUR;

eachEngine('what is known of devices when the clock was set back', (open) => {
  async function start() {
    const db = await open();
    const { integration } = await seed(db, { devices: ['cam'] });
    const events = createEventWriter({ db, silence: { silenceLimitOf: () => LIMIT, note: () => {} } });
    const alive = createAliveJob({ db });
    const silence = createSilenceJob({ db, writer: () => events });
    const id = deviceId(integration.id, 'cam');
    const draft = (at: number, state: DeviceState): EventDraft => ({
      vendorEventId: null,
      family: 'HEALTH',
      type: 'health.reported',
      vendorCode: null,
      severity: 'NOTICE',
      occurredAt: new Date(at),
      nativeOrgId: null,
      nativeSiteId: null,
      nativeDeviceId: 'cam',
      claim: { state, reason: 'REPORTED', vendorState: null, observedAt: null },
      isLifeSign: state === 'ONLINE',
      summary: state,
      details: {},
      telemetry: { batteryPercent: 50 },
      raw: null,
    });
    return {
      db,
      alive,
      silence,
      tell: (at: number, state: DeviceState) =>
        db.write((tx) => events.writeEvents(tx, integration, [draft(at, state)], 'WEBHOOK', at)),
      row: () => db.read.selectFrom('devices').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
      /** As `state from to`, in minutes from when the clock says what it said before. */
      history: async () => {
        const rows = await db.read
          .selectFrom('status_segments')
          .selectAll()
          .where('device_id', '=', id)
          .where('from_at', '>', 0)
          .orderBy('from_at')
          .execute();
        const minute = (at: number | null) => (at === null ? null : (at - AGAIN) / MINUTE);
        return rows.map((each) => `${each.state} ${minute(each.from_at)} ${minute(each.to_at)}`);
      },
    };
  }

  it('does not hold up what is told from then on', async () => {
    const { db, alive, tell, row, history } = await start();
    await tell(AGAIN - MINUTE, 'DEGRADED');
    await tell(AGAIN + 10 * MINUTE, 'OFFLINE');
    await tell(NOON - MINUTE, 'ONLINE');
    await alive.run(NOON);
    const { revision } = await db.read.selectFrom('orgs').select('revision').executeTakeFirstOrThrow();
    await alive.run(AGAIN);
    expect(await row()).toMatchObject({
      state: 'ONLINE',
      state_since: AGAIN,
      state_observed_at: AGAIN,
      last_seen_at: AGAIN,
    });
    const { telemetry } = await row();
    expect(JSON.parse(telemetry ?? '')).toEqual({ batteryPercent: 50, observedAt: AGAIN });
    expect(await history()).toEqual(['DEGRADED -1 0', 'ONLINE 0 null']);
    expect((await db.read.selectFrom('orgs').select('revision').executeTakeFirstOrThrow()).revision).toBe(revision + 1);
    await tell(AGAIN + MINUTE, 'OFFLINE');
    expect(await row()).toMatchObject({ state: 'OFFLINE', state_since: AGAIN + MINUTE });
    await tell(AGAIN + 2 * MINUTE, 'ONLINE');
    expect(await row()).toMatchObject({ state: 'ONLINE', state_since: AGAIN + 2 * MINUTE });
    expect(await history()).toEqual(['DEGRADED -1 0', 'ONLINE 0 1', 'OFFLINE 1 2', 'ONLINE 2 null']);
    const events = await db.read.selectFrom('events').select(['late', 'changed']).orderBy('seq').execute();
    expect(events.slice(3)).toEqual([
      { late: 0, changed: 1 },
      { late: 0, changed: 1 },
    ]);
  });

  it('makes nobody silent who speaks, and somebody who does not', async () => {
    const { alive, silence, tell, row } = await start();
    await tell(NOON - MINUTE, 'ONLINE');
    await alive.run(NOON);
    await alive.run(AGAIN);
    await tell(AGAIN + 3 * MINUTE, 'ONLINE');
    await silence.run(AGAIN + LIMIT);
    expect(await row()).toMatchObject({ state: 'ONLINE', silence_due_at: AGAIN + 3 * MINUTE + LIMIT });
    await silence.run(AGAIN + 3 * MINUTE + LIMIT);
    expect(await row()).toMatchObject({ state: 'UNKNOWN', state_reason: 'SILENCE' });
  });

  it('stays where it is not of later, and where the clock was not set', async () => {
    const { alive, tell, row, history } = await start();
    await tell(AGAIN - MINUTE, 'OFFLINE');
    const before = await row();
    await alive.run(NOON);
    await alive.run(AGAIN);
    expect(await row()).toEqual({ ...before, silence_due_at: null });
    expect(await history()).toEqual(['OFFLINE -1 null']);
    // The clock of another machine, a little behind.
    await tell(AGAIN + MINUTE, 'ONLINE');
    await alive.run(AGAIN + 30_000);
    expect(await row()).toMatchObject({ state_since: AGAIN + MINUTE });
  });
});
