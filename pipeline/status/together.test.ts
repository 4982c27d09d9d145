import { expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { DeviceState } from '../../schema/words.ts';
import { deviceId } from '../../storage/ids.ts';
import { createLeases } from '../../storage/leases.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { saveStatusPolicy } from '../../storage/status-policies.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ManualClock, principalOf } from '../integrations/testing.ts';
import { deviceDraft, putOnline, stateDraft } from '../fixtures/devices-online.ts';
import { createEventWriter, type EventWriter } from '../process/event-writer.ts';
import { addDevice, quiet, seed } from '../testing.ts';
import { createDwellJob } from './dwell.ts';
import { createStatusKeeper } from './keeper.ts';
import { createMaintenance } from './maintenance.ts';
import { POWER_GRACE_MS, RECOVERY_GRACE_MS } from './root-cause.ts';
import { createRootCauseHook } from './root-cause-hook.ts';
import { createRootCauseJob } from './root-cause-job.ts';
import { createSilenceJob } from './silence.ts';

// Rules that are right each by itself, and what they come to together.

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const CAMERAS = ['cam-1', 'cam-2', 'cam-3'];

eachEngine('rules together', (open) => {
  /** A recorder with cameras, doors beside it, all up; and what lets time pass in the product's order. */
  async function start() {
    const db = await open();
    const { integration, siteId, orgId } = await seed(db, { devices: [] });
    const doors = Array.from({ length: 6 }, (_, at) => `door-${at}`);
    for (const name of ['rec', ...CAMERAS, ...doors]) await addDevice(db, integration, name, siteId);
    const clock = new ManualClock();
    await putOnline(db, clock.now() - SECOND, { 'cam-%': deviceId(integration.id, 'rec') });
    const silence = { silenceLimitOf: () => 6 * HOUR, note: () => {} };
    const events: EventWriter = createEventWriter({ db, silence, onTransitions: createRootCauseHook(() => events) });
    const maintenance = createMaintenance({ db, now: clock.now, writer: () => events });
    const keeper = () =>
      createStatusKeeper({
        jobs: [
          createDwellJob({ db, writer: events }),
          maintenance.job,
          createSilenceJob({ db, writer: () => events }),
          createRootCauseJob({ db, writer: () => events }),
        ],
        leases: createLeases({ db, now: clock.now }),
        clock,
        logger: quiet,
        owner: 'test',
      });
    let current = keeper();
    await current.run();

    const draft = (name: string, over: Partial<EventDraft>) => deviceDraft(name, clock.now(), over);
    const write = (drafts: readonly EventDraft[], of: IntegrationRow = integration) =>
      db.write((tx) => events.writeEvents(tx, of, drafts, 'WEBHOOK', clock.now()));
    return {
      db,
      clock,
      integration,
      siteId,
      orgId,
      doors,
      maintenance,
      write,
      draft,
      tell: (state: DeviceState, ...names: readonly string[]) =>
        write(
          names.map((name) =>
            stateDraft(name, state, clock.now(), { severity: state === 'ONLINE' ? 'NOTICE' : 'WARNING' }),
          ),
        ),
      pass: async (ms: number) => {
        await clock.advance(ms);
        await current.run();
      },
      rootCauses: () => createRootCauseJob({ db, writer: () => events }),
      restart: () => {
        current = keeper();
      },
      dwell: (offlineDwellMs: number) =>
        db.write((tx) =>
          saveStatusPolicy(
            tx,
            { orgId, siteId: null, deviceType: null, deviceId: null },
            { offlineDwellMs, flapChanges: null, flapWindowMs: null, silenceMs: null },
            clock.now(),
          ),
        ),
      plan: async (what: { readonly siteId: string } | { readonly deviceId: string }, ms: number) => {
        const span = { from: clock.now() - SECOND, to: clock.now() + ms, reason: 'new cabling' };
        const { maintenanceWindow: window } = await maintenance.create(principalOf([orgId]), { ...what, ...span });
        if (window === null) throw new RangeError('it was not planned');
        return window.id;
      },
      device: (name: string) =>
        db.read
          .selectFrom('devices')
          .selectAll()
          .where('id', '=', deviceId(integration.id, name))
          .executeTakeFirstOrThrow(),
      /** What a feed shows that asks for nothing special but notices, as `device type`. */
      feed: async () => {
        const rows = await db.read
          .selectFrom('events')
          .leftJoin('devices', 'devices.id', 'events.device_id')
          .select(['devices.native_id', 'events.type', 'events.family'])
          .where('events.suppressed', '=', 0)
          .where('events.in_maintenance', '=', 0)
          .where('events.severity', '>=', 1)
          .orderBy('events.seq')
          .execute();
        return {
          health: rows.filter(({ family }) => family === 'HEALTH').map((row) => `${row.native_id} ${row.type}`),
          system: rows.filter(({ family }) => family === 'SYSTEM').map(({ type }) => type),
        };
      },
    };
  }

  it('tell of a camera that does not come back with its recorder, once, and of its return', async () => {
    const { tell, pass, feed, device, db, restart } = await start();
    await tell('OFFLINE', 'rec');
    await tell('OFFLINE', ...CAMERAS);
    await pass(10 * MINUTE);
    expect((await feed()).health).toEqual(['rec health.offline']);
    await tell('ONLINE', 'rec', 'cam-1', 'cam-2');
    await pass(SECOND);
    expect(await device('cam-3')).toMatchObject({ suppressed_by: expect.any(String) });
    await pass(RECOVERY_GRACE_MS);
    await pass(10 * SECOND);
    restart();
    await pass(10 * SECOND);
    expect(await device('cam-3')).toMatchObject({ state: 'OFFLINE', suppressed_by: null });
    expect((await feed()).health).toEqual(['rec health.offline', 'rec health.online', 'cam-3 health.offline']);
    const [still] = await db.read.selectFrom('events').selectAll().where('derived', '=', 1).execute();
    // No change of state: whoever follows those has been told when it fell.
    expect(still).toMatchObject({ changed: 0, state: 'OFFLINE', previous_state: 'OFFLINE', suppressed: 0 });
    await tell('ONLINE', 'cam-3');
    expect((await feed()).health.at(-1)).toBe('cam-3 health.online');
  });

  it('tell of what is dead when power is back', async () => {
    const { db, tell, write, draft, pass, doors, feed } = await start();
    await db.write((tx) =>
      tx.updateTable('devices').set({ type: 'PANEL' }).where('native_id', '=', 'door-5').execute(),
    );
    await write([draft('door-5', { family: 'ALARM', type: 'alarm.power_lost' })]);
    await pass(SECOND);
    await tell('OFFLINE', ...doors);
    expect((await feed()).health).toEqual([]);
    await write([draft('door-5', { family: 'ALARM', type: 'alarm.power_restored' })]);
    await tell('ONLINE', ...doors.slice(1));
    await pass(10 * SECOND);
    await pass(POWER_GRACE_MS);
    await pass(10 * SECOND);
    expect((await feed()).health).toEqual(['door-0 health.offline']);
  });

  it('tell of a device that is not back when its planned work is over', async () => {
    const { tell, pass, plan, feed, siteId, maintenance, orgId } = await start();
    await plan({ siteId }, HOUR);
    await tell('OFFLINE', 'door-0', 'door-1');
    await tell('ONLINE', 'door-1');
    expect((await feed()).health).toEqual([]);
    await pass(HOUR);
    await pass(MINUTE);
    expect((await feed()).health).toEqual(['door-0 health.offline']);
    const window = await plan({ siteId }, HOUR);
    await tell('OFFLINE', 'door-2');
    await maintenance.delete(principalOf([orgId]), window);
    await pass(MINUTE);
    expect((await feed()).health).toEqual(['door-0 health.offline', 'door-2 health.offline']);
  });

  it('take planned work at a site for no power cut', async () => {
    const { db, tell, write, draft, pass, plan, doors, siteId, feed } = await start();
    await db.write((tx) =>
      tx.updateTable('devices').set({ type: 'PANEL' }).where('native_id', '=', 'door-5').execute(),
    );
    await plan({ siteId }, HOUR);
    await write([draft('door-5', { family: 'ALARM', type: 'alarm.power_lost' })]);
    await tell('OFFLINE', 'rec', ...CAMERAS, ...doors);
    await pass(10 * SECOND);
    await pass(10 * SECOND);
    expect((await feed()).system).toEqual([]);
    const open = await db.read.selectFrom('incidents').select('cause').where('closed_at', 'is', null).execute();
    expect(open).toEqual([{ cause: 'DEVICE_DOWN' }]);
  });

  it('tell nobody of an outage that has not lasted, nor of its end, and once of one that has', async () => {
    const { db, tell, pass, dwell, feed } = await start();
    await dwell(5 * MINUTE);
    await tell('OFFLINE', 'door-0');
    await pass(MINUTE);
    await tell('ONLINE', 'door-0');
    await pass(10 * MINUTE);
    expect((await feed()).health).toEqual([]);
    const all = await db.read.selectFrom('events').select(['state', 'changed']).orderBy('seq').execute();
    expect(all).toEqual([
      { state: 'OFFLINE', changed: 0 },
      { state: 'ONLINE', changed: 0 },
    ]);
    await tell('OFFLINE', 'door-0');
    await pass(5 * MINUTE);
    expect((await feed()).health).toEqual(['door-0 health.offline']);
    await tell('ONLINE', 'door-0');
    expect((await feed()).health).toEqual(['door-0 health.offline', 'door-0 health.online']);
  });

  it('tell of a recorder alone where outages have to last, whoever fell first', async () => {
    const { tell, pass, dwell, feed, device, integration } = await start();
    await dwell(5 * MINUTE);
    await tell('OFFLINE', ...CAMERAS);
    await pass(SECOND);
    await tell('OFFLINE', 'rec');
    await pass(5 * MINUTE);
    await pass(5 * SECOND);
    const told = (await feed()).health;
    expect(told).toEqual(['rec health.offline']);
    for (const name of CAMERAS) {
      expect(await device(name)).toMatchObject({ state: 'OFFLINE', suppressed_by: deviceId(integration.id, 'rec') });
    }
    await tell('ONLINE', 'rec', ...CAMERAS);
    await pass(RECOVERY_GRACE_MS + MINUTE);
    for (const name of CAMERAS) expect(await device(name)).toMatchObject({ state: 'ONLINE', suppressed_by: null });
  });

  it('wait no more for a device that is gone, also while its platform cannot be heard', async () => {
    const { db, tell, pass, clock, integration } = await start();
    await tell('ONLINE', 'door-0', 'door-1');
    await db.write(async (tx) => {
      await tx.updateTable('devices').set({ removed_at: clock.now() }).where('native_id', '=', 'door-0').execute();
      await tx.updateTable('integrations').set({ enabled: 0 }).where('id', '=', integration.id).execute();
    });
    await pass(6 * HOUR);
    const due = db.read.selectFrom('devices').select(['native_id', 'silence_due_at', 'state']);
    const rows = await due.where('native_id', 'in', ['door-0', 'door-1']).orderBy('native_id').execute();
    expect(rows).toMatchObject([
      { native_id: 'door-0', silence_due_at: null },
      // Nobody can hear it: it is waited for anew.
      { native_id: 'door-1', state: 'ONLINE' },
    ]);
    expect(rows[1]?.silence_due_at).toBeGreaterThan(clock.now());
  });

  it('take any life sign of a silent device for what it is, and nobody else for up', async () => {
    const { tell, pass, write, draft, device, clock } = await start();
    await tell('ONLINE', 'door-0');
    await pass(6 * HOUR);
    expect(await device('door-0')).toMatchObject({ state: 'UNKNOWN', state_reason: 'SILENCE' });
    await tell('OFFLINE', 'door-1');
    await pass(MINUTE);
    const spoke = { family: 'ACCESS', type: 'access.granted', isLifeSign: true } as const;
    await write([draft('door-0', spoke), draft('door-1', spoke)]);
    expect(await device('door-0')).toMatchObject({ state: 'ONLINE', state_since: clock.now() });
    expect(await device('door-1')).toMatchObject({ state: 'OFFLINE', last_seen_at: clock.now() });
  });

  it('explain nothing by the power of a site that a device has left, nor wait for it there', async () => {
    const { db, tell, write, draft, pass, device, feed, siteId } = await start();
    await db.write((tx) =>
      tx.updateTable('devices').set({ type: 'PANEL' }).where('native_id', '=', 'door-5').execute(),
    );
    await write([draft('door-5', { family: 'ALARM', type: 'alarm.power_lost' })]);
    await pass(SECOND);
    await tell('OFFLINE', 'door-0', 'door-1');
    expect(await device('door-0')).toMatchObject({ suppressed_by: siteId });
    await db.write((tx) =>
      tx.updateTable('devices').set({ site_id: 'site_a2' }).where('native_id', '=', 'door-0').execute(),
    );
    await pass(MINUTE);
    await pass(MINUTE);
    expect(await device('door-0')).toMatchObject({ state: 'OFFLINE', suppressed_by: null, incident_id: null });
    expect(await device('door-1')).toMatchObject({ suppressed_by: siteId });
    expect((await feed()).health).toEqual(['door-0 health.offline']);
  });

  it('make one incident of a storm of repetitions in disorder', async () => {
    const { db, write, draft, clock, feed, pass } = await start();
    const claim = { state: 'OFFLINE', reason: 'REPORTED', vendorState: null, observedAt: null } as const;
    const storm = Array.from({ length: 200 }, (_, at) =>
      ['rec', ...CAMERAS].map((name) =>
        // By a step that shares no divisor with 200: each instant once, none in order.
        draft(name, { type: 'health.offline', claim, occurredAt: new Date(clock.now() - ((at * 77) % 200) * 5) }),
      ),
    ).flat();
    for (let from = 0; from < storm.length; from += 90) await write(storm.slice(from, from + 90));
    await pass(10 * SECOND);
    const incidents = await db.read.selectFrom('incidents').selectAll().execute();
    expect(incidents).toMatchObject([{ cause: 'DEVICE_DOWN', root_id: deviceId('int_a', 'rec'), affected: 3 }]);
    expect((await feed()).system).toEqual(['incident.opened']);
    const changes = db.read.selectFrom('events').select('device_id').where('changed', '=', 1);
    expect(await changes.execute()).toHaveLength(4);
    const down = db.read.selectFrom('devices').select(['state_since', 'flapping']).where('state', '=', 'OFFLINE');
    expect(new Set((await down.execute()).map((row) => `${row.state_since} ${row.flapping}`))).toEqual(
      new Set([`${clock.now() - 10 * SECOND - 995} 0`]),
    );
  });

  it('go by the clock of now when it was set back', async () => {
    const { db, tell, clock, rootCauses } = await start();
    await tell('OFFLINE', 'rec');
    const job = rootCauses();
    await job.run(clock.now() + HOUR);
    // Back, and nothing told the writer: the job has to look.
    await db.write((tx) =>
      tx.updateTable('devices').set({ state: 'ONLINE', state_rank: 3 }).where('native_id', '=', 'rec').execute(),
    );
    await job.run(clock.now() + MINUTE);
    expect(await db.read.selectFrom('incidents').select('id').where('closed_at', 'is', null).execute()).toEqual([]);
  });

  it('let lists see that an outage at an unbound site has lasted', async () => {
    const { db, tell, pass, dwell, orgId, device } = await start();
    await dwell(5 * MINUTE);
    await tell('OFFLINE', 'door-0');
    await db.write((tx) => tx.updateTable('devices').set({ site_id: null }).execute());
    const revision = async () =>
      (await db.read.selectFrom('orgs').select('revision').where('id', '=', orgId).executeTakeFirstOrThrow()).revision;
    const before = await revision();
    await pass(5 * MINUTE);
    expect(await device('door-0')).toMatchObject({ state: 'OFFLINE', pending_state: null });
    expect(await revision()).toBeGreaterThan(before);
  });
});
