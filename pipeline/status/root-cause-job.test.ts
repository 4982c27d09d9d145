import { expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { DeviceState } from '../../schema/words.ts';
import { deviceId } from '../../storage/ids.ts';
import { createLeases } from '../../storage/leases.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import { applyTransition } from '../integrations/state.ts';
import { ManualClock, TEST_NOW } from '../integrations/testing.ts';
import { deviceDraft, putOnline, stateDraft } from '../fixtures/devices-online.ts';
import { createEventWriter, type EventWriter } from '../process/event-writer.ts';
import { addDevice, bind, quiet, seed } from '../testing.ts';
import { createStatusKeeper } from './keeper.ts';
import { POWER_GRACE_MS } from './root-cause.ts';
import { createRootCauseHook } from './root-cause-hook.ts';
import { createRootCauseJob } from './root-cause-job.ts';

const SECOND = 1_000;

eachEngine('causes over several platforms', (open) => {
  /** One site with cameras behind a recorder, doors, and a panel: one platform each. */
  async function start({ cameras = 100, doors = 60, detectors = 40 } = {}) {
    const db = await open();
    const { integration: vms, siteId, orgId } = await seed(db, { devices: [] });
    const integrations: IntegrationRow[] = [vms];
    for (const name of ['access', 'alarm']) {
      const row = { ...vms, id: `int_${name}`, name };
      await db.write((tx) => tx.insertInto('integrations').values(row).execute());
      await bind(db, row, 'lobby', siteId);
      integrations.push(row);
    }
    const [, access, alarm] = integrations;
    if (access === undefined || alarm === undefined) throw new RangeError('two more');
    const names = (prefix: string, count: number) => Array.from({ length: count }, (_, at) => `${prefix}-${at}`);
    const fleet = [
      { integration: vms, names: ['rec', ...names('cam', cameras - 1)] },
      { integration: access, names: names('door', doors) },
      { integration: alarm, names: ['panel', ...names('pir', detectors - 1)] },
    ];
    for (const { integration, names: own } of fleet)
      for (const name of own) await addDevice(db, integration, name, siteId);
    await putOnline(db, TEST_NOW - SECOND, {
      'cam-%': deviceId(vms.id, 'rec'),
      'pir-%': deviceId(alarm.id, 'panel'),
    });
    await db.write((tx) => tx.updateTable('devices').set({ type: 'PANEL' }).where('native_id', '=', 'panel').execute());

    const clock = new ManualClock();
    const events: EventWriter = createEventWriter({ db, onTransitions: createRootCauseHook(() => events) });
    const keeper = createStatusKeeper({
      jobs: [createRootCauseJob({ db, writer: () => events })],
      leases: createLeases({ db, now: clock.now }),
      clock,
      logger: quiet,
      owner: 'test',
    });
    // Its place in the log.
    await keeper.run();

    const write = (integration: IntegrationRow, drafts: readonly EventDraft[]) =>
      db.write((tx) => events.writeEvents(tx, integration, drafts, 'WEBHOOK', clock.now()));
    return {
      db,
      vms,
      access,
      alarm,
      fleet,
      orgId,
      siteId,
      clock,
      keeper,
      events,
      tell: (integration: IntegrationRow, state: DeviceState, ...own: readonly string[]) =>
        write(
          integration,
          own.map((name) => stateDraft(name, state, clock.now())),
        ),
      power: (integration: IntegrationRow, name: string, word: 'lost' | 'restored') =>
        write(integration, [deviceDraft(name, clock.now(), { family: 'ALARM', type: `alarm.power_${word}` })]),
      pass: async (ms: number) => {
        await clock.advance(ms);
        await keeper.run();
      },
      open: () => db.read.selectFrom('incidents').selectAll().where('closed_at', 'is', null).execute(),
      all: () => db.read.selectFrom('incidents').selectAll().orderBy('opened_at').orderBy('id').execute(),
      explained: () =>
        db.read
          .selectFrom('devices')
          .select(['id', 'native_id', 'suppressed_by', 'incident_id'])
          .where('incident_id', 'is not', null)
          .execute(),
      told: async () =>
        (await db.read.selectFrom('events').selectAll().where('family', '=', 'SYSTEM').orderBy('seq').execute()).map(
          ({ type, site_id: site }) => `${type} ${site}`,
        ),
    };
  }

  it('makes exactly one incident of a power cut of 200 devices over three platforms, and ends it', async () => {
    const site = await start();
    const { fleet, tell, pass, open: openOnes, siteId, vms, alarm } = site;
    for (const { integration, names } of fleet) {
      for (let from = 0; from < names.length; from += 50)
        await tell(integration, 'OFFLINE', ...names.slice(from, from + 50));
      await pass(10 * SECOND);
    }
    const [incident, ...others] = await openOnes();
    expect(others).toEqual([]);
    expect(incident).toMatchObject({ cause: 'SITE_POWER', root_kind: 'SITE', root_id: siteId, affected: 200 });
    const explained = await site.explained();
    expect(explained).toHaveLength(200);
    expect(new Set(explained.map(({ incident_id: id }) => id))).toEqual(new Set([incident?.id]));
    const by = new Map(explained.map((row) => [row.native_id, row.suppressed_by]));
    expect([by.get('rec'), by.get('cam-1'), by.get('pir-1'), by.get('door-1')]).toEqual([
      siteId,
      deviceId(vms.id, 'rec'),
      deviceId(alarm.id, 'panel'),
      siteId,
    ]);
    expect((await site.told()).filter((line) => line === `incident.opened ${siteId}`).length).toBeGreaterThan(0);

    await pass(600 * SECOND);
    for (const { integration, names } of fleet) await tell(integration, 'ONLINE', ...names.slice(0, -3));
    await pass(10 * SECOND);
    expect(await openOnes()).toEqual([]);
    expect(await site.explained()).toHaveLength(9);
    expect((await site.told()).at(-1)).toBe(`incident.closed ${siteId}`);
    // What has not come back by itself is somebody's work.
    await pass(POWER_GRACE_MS);
    expect(await site.explained()).toEqual([]);
    const causes = (await site.all()).filter(({ cause }) => cause === 'SITE_POWER');
    expect(causes).toHaveLength(1);
  });

  it('believes the panel that mains power is lost, and that it is back', async () => {
    const site = await start({ cameras: 10, doors: 10, detectors: 10 });
    const { alarm, access, tell, power, pass } = site;
    await tell(access, 'OFFLINE', 'door-9');
    await pass(600 * SECOND);
    await power(alarm, 'panel', 'lost');
    await pass(SECOND);
    expect(await site.open()).toMatchObject([{ cause: 'SITE_POWER', affected: 0 }]);
    // Batteries last for a while.
    await pass(1_800 * SECOND);
    await tell(access, 'OFFLINE', 'door-1', 'door-2');
    expect((await site.explained()).map(({ native_id: name }) => name).toSorted()).toEqual(['door-1', 'door-2']);
    const hidden = await site.db.read.selectFrom('events').select('device_id').where('suppressed', '=', 1).execute();
    expect(hidden).toHaveLength(2);
    await power(alarm, 'panel', 'restored');
    await pass(10 * SECOND);
    expect(await site.open()).toEqual([]);
  });

  it('counts a platform that stands at the site and went with the power to the same incident', async () => {
    const site = await start({ cameras: 10, doors: 10, detectors: 10 });
    const { db, vms, access, alarm, tell, pass, fleet, clock } = site;
    const away = (integration: IntegrationRow, error: { code: 'UNREACHABLE'; message: string } | null) =>
      db.write((tx) =>
        applyTransition(tx, { db, events: site.events }, integration.id, { error }, 'POLL', clock.now()),
      );
    await away(access, { code: 'UNREACHABLE', message: 'no answer' });
    expect(await site.open()).toMatchObject([{ cause: 'PLATFORM_DOWN', root_id: access.id, affected: 10 }]);
    await tell(vms, 'OFFLINE', ...(fleet[0]?.names ?? []));
    await tell(alarm, 'OFFLINE', ...(fleet[2]?.names ?? []));
    await pass(SECOND);
    // Whether its doors still stand, nobody knows.
    expect(await site.open()).toMatchObject([{ cause: 'SITE_POWER' }]);
    await away(alarm, { code: 'UNREACHABLE', message: 'no answer' });
    await pass(10 * SECOND);
    expect(await site.open()).toMatchObject([{ cause: 'SITE_POWER' }]);
    // Power is back, and one platform is not.
    await away(access, null);
    await tell(vms, 'ONLINE', ...(fleet[0]?.names ?? []));
    await tell(alarm, 'ONLINE', ...(fleet[2]?.names ?? []).slice(0, 5));
    await pass(10 * SECOND);
    await pass(10 * SECOND);
    expect(await site.open()).toMatchObject([{ cause: 'PLATFORM_DOWN', root_id: alarm.id }]);
  });

  it('lets platforms write beside each other while a site has no power', async () => {
    const site = await start({ cameras: 30, doors: 30, detectors: 30 });
    const { tell, fleet, power, alarm, pass, keeper } = site;
    await power(alarm, 'panel', 'lost');
    await pass(SECOND);
    const falls = fleet.flatMap(({ integration, names }) =>
      Array.from({ length: 3 }, (_, at) => () => tell(integration, 'OFFLINE', ...names.slice(at * 10, at * 10 + 10))),
    );
    await Promise.all([...falls.map((fall) => fall()), keeper.run(), keeper.run()]);
    expect(await site.open()).toMatchObject([{ cause: 'SITE_POWER', affected: 90 }]);
    expect(await site.explained()).toHaveLength(90);
  });

  it('does not take a dead recorder for a power cut', async () => {
    const site = await start({ cameras: 65, doors: 5, detectors: 5 });
    const { vms, fleet, tell, pass } = site;
    await tell(vms, 'OFFLINE', ...(fleet[0]?.names ?? []));
    await pass(5 * SECOND);
    expect(await site.open()).toMatchObject([{ cause: 'DEVICE_DOWN', root_id: deviceId(vms.id, 'rec'), affected: 64 }]);
  });

  it('finds a recorder that was dead when it was listed first, and lets go of one that is removed', async () => {
    const site = await start({ cameras: 5, doors: 1, detectors: 1 });
    const { db, vms, pass } = site;
    await db.write((tx) =>
      tx
        .updateTable('devices')
        .set({ state: 'OFFLINE', state_rank: 0, state_since: TEST_NOW })
        .where('integration_id', '=', vms.id)
        .execute(),
    );
    await pass(60 * SECOND);
    expect(await site.open()).toMatchObject([{ cause: 'DEVICE_DOWN', affected: 4 }]);
    await db.write((tx) =>
      tx.updateTable('devices').set({ removed_at: TEST_NOW }).where('native_id', '=', 'rec').execute(),
    );
    await pass(10 * SECOND);
    expect(await site.open()).toEqual([]);
    await pass(180 * SECOND);
    expect((await site.explained()).filter(({ native_id: name }) => name.startsWith('cam'))).toEqual([]);
  });

  it('goes on where it stood after a restart', async () => {
    const site = await start({ cameras: 5, doors: 1, detectors: 1 });
    const { db, alarm, power, clock } = site;
    await power(alarm, 'panel', 'lost');
    const events: EventWriter = createEventWriter({ db });
    const job = createRootCauseJob({ db, writer: () => events });
    // The place of the first one was kept ten seconds later at the latest: before the panel spoke.
    await db.write((tx) =>
      tx
        .insertInto('meta')
        .values({ key: 'root_cause_seq', value: '0' })
        .onConflict((c) => c.column('key').doUpdateSet({ value: '0' }))
        .execute(),
    );
    await job.run(clock.now());
    expect(await site.open()).toMatchObject([{ cause: 'SITE_POWER' }]);
  });
});
