import { expect, it, onTestFinished } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import type { CustomEventDraft, DeviceRef, EventDraft } from '../../adapter-kit/model.ts';
import type { Database } from '../../storage/database.ts';
import { deviceRow, insertFixture, integrationRow, orgRow, siteRow } from '../../storage/fixtures/directory-rows.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import type { IntegrationRuntime } from '../integrations/runtime.ts';
import { createEventWriter } from '../process/event-writer.ts';
import { acme, NOON, quiet } from '../testing.ts';
import { createCustomEventDispatcher, GIVE_UP_MS } from './dispatcher.ts';
import { enqueueCustomEvents } from './enqueue.ts';

const site = siteRow('site_a', 'org_a');
const sensors = integrationRow('int_sensors', 'org_a');
const north = integrationRow('int_north', 'org_a');
const south = integrationRow('int_south', 'org_a');
const CAMERA = { site_id: site.id, capabilities: '["CUSTOM_EVENT","EMITS_VIDEO"]' };
const METADATA = { zone: { id: 7, label: 'Küche' }, readings: [1.5, null, 'x'], nested: { deep: [true] } };

function event(device = 'leak-1', over: Partial<EventDraft> = {}): EventDraft {
  return {
    vendorEventId: 'e-1',
    family: 'SENSOR',
    type: 'sensor.water_leak',
    vendorCode: null,
    severity: 'CRITICAL',
    occurredAt: new Date(NOON),
    nativeOrgId: null,
    nativeSiteId: null,
    nativeDeviceId: device,
    claim: null,
    isLifeSign: true,
    summary: 'Water in the cellar',
    details: { metadata: METADATA },
    raw: null,
    ...over,
  };
}

type Answer = (ref: DeviceRef, draft: CustomEventDraft) => Promise<void>;

eachEngine('custom events', (open) => {
  async function start(answer: Answer = async () => undefined) {
    const db = await open();
    await insertFixture(db, {
      orgs: [orgRow('org_a')],
      sites: [site],
      integrations: [sensors, north, south],
      devices: [
        deviceRow(sensors, 'leak-1', { site_id: site.id, name: 'Cellar', type: 'SENSOR' }),
        deviceRow(sensors, 'dry-1', { site_id: site.id, type: 'SENSOR' }),
        deviceRow(north, 'cam-1', CAMERA),
        deviceRow(north, 'cam-2', CAMERA),
        deviceRow(south, 'cam-3', CAMERA),
        deviceRow(south, 'plain', { site_id: site.id }),
      ],
    });
    await link(db, 'cam-1', 'cam-2', 'cam-3', 'plain');
    const clock = { now: NOON };
    const calls: (CustomEventDraft & { readonly camera: string })[] = [];
    const events = createEventWriter({ db, follow: enqueueCustomEvents });
    const adapter: Pick<Adapter, 'createCustomEvent'> = {
      async createCustomEvent(ref, draft) {
        calls.push({ ...draft, camera: ref.nativeId });
        await answer(ref, draft);
      },
    };
    const runtime: IntegrationRuntime = {
      vendors: new Map(),
      async use(id, work) {
        const integration = await db.read
          .selectFrom('integrations')
          .selectAll()
          .where('id', '=', id)
          .executeTakeFirstOrThrow();
        return work({ integration, vendor: acme, adapter: adapter as Adapter, settings: {} });
      },
      tryOut: () => Promise.reject(new RangeError('not asked for in this test')),
      close: () => Promise.resolve(),
    };
    const dispatcher = createCustomEventDispatcher({
      db,
      runtime,
      events,
      logger: quiet,
      clock: { now: () => clock.now, elapsedMs: () => clock.now, after: () => () => undefined },
    });
    onTestFinished(() => dispatcher.stop());
    return {
      db,
      clock,
      calls,
      dispatcher,
      write: (...drafts: EventDraft[]) =>
        db.write((tx) => events.writeEvents(tx, sensors, drafts, 'STREAM', clock.now)),
      outbox: () => db.read.selectFrom('custom_events').selectAll().orderBy('target_device_id').execute(),
      told: () => db.read.selectFrom('events').selectAll().where('family', '=', 'SYSTEM').execute(),
    };
  }

  async function link(db: Database, ...cameras: readonly string[]): Promise<void> {
    const rows = cameras.map((value) => ({
      device_id: deviceId('int_sensors', 'leak-1'),
      org_id: 'org_a',
      relation: 'WATCHED_BY',
      integration_id: '',
      namespace: '',
      value,
    }));
    await db.write((tx) => tx.insertInto('device_links').values(rows).execute());
  }

  it('reach every linked camera whose platform takes them, with the metadata as it came', async () => {
    const { write, dispatcher, calls, outbox } = await start();
    await write(event(), event('dry-1', { vendorEventId: 'e-2' }));
    expect(await dispatcher.run()).toBe(3);
    expect(calls.map(({ camera }) => camera).toSorted()).toEqual(['cam-1', 'cam-2', 'cam-3']);
    for (const call of calls) {
      expect(call).toMatchObject({
        isRepeat: false,
        family: 'SENSOR',
        type: 'sensor.water_leak',
        severity: 'CRITICAL',
        occurredAt: new Date(NOON),
        source: { deviceId: deviceId('int_sensors', 'leak-1'), name: 'Cellar', type: 'SENSOR' },
        eventId: expect.stringMatching(/^evt_[0-9a-f]{32}$/),
      });
      expect(JSON.stringify(call.metadata)).toBe(JSON.stringify(METADATA));
    }
    expect(new Set(calls.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(3);
    expect((await outbox()).map(({ state }) => state)).toEqual(['DONE', 'DONE', 'DONE']);
    expect(await dispatcher.run()).toBe(0);
  });

  it('are one for each event and camera, however often the event is delivered', async () => {
    const { write, dispatcher, calls } = await start();
    await write(event());
    await write(event());
    await dispatcher.run();
    await write(event());
    await dispatcher.run();
    expect(calls).toHaveLength(3);
  });

  it('follow neither from health nor from what a camera says itself', async () => {
    const { write, outbox, db } = await start();
    await write(event('leak-1', { family: 'HEALTH' }));
    expect(await outbox()).toEqual([]);
    await db.write((tx) => tx.updateTable('devices').set({ capabilities: '["CUSTOM_EVENT"]' }).execute());
    await write(event('leak-1', { vendorEventId: 'e-2' }));
    expect(await outbox()).toEqual([]);
  });

  it('are tried again where a platform was away, without a second one where it was not', async () => {
    let isAway = true;
    const { write, dispatcher, calls, clock, outbox, told } = await start(async ({ nativeId }) => {
      if (nativeId === 'cam-3' && isAway) throw new AdapterError('TIMEOUT', 'no answer');
    });
    await write(event());
    expect(await dispatcher.run()).toBe(2);
    expect(await dispatcher.run()).toBe(0);
    expect((await outbox()).map(({ state }) => state).toSorted()).toEqual(['DONE', 'DONE', 'PENDING']);
    clock.now += 600_000;
    isAway = false;
    expect(await dispatcher.run()).toBe(1);
    const third = calls.filter(({ camera }) => camera === 'cam-3');
    expect(third.map(({ isRepeat }) => isRepeat)).toEqual([false, true]);
    expect(new Set(third.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
    expect(calls.filter(({ camera }) => camera !== 'cam-3')).toHaveLength(2);
    expect(await told()).toEqual([]);
  });

  it('that failed for good are told: which event, which camera, why; the others are not held up', async () => {
    const { write, dispatcher, outbox, told } = await start(async ({ nativeId }) => {
      if (nativeId === 'cam-1') throw new AdapterError('FORBIDDEN', 'the token may not trigger');
    });
    await write(event());
    expect(await dispatcher.run()).toBe(2);
    const failed = (await outbox()).filter(({ state }) => state === 'FAILED');
    expect(failed).toMatchObject([
      { target_device_id: deviceId('int_north', 'cam-1'), error_code: 'FORBIDDEN', is_uncertain: 0 },
    ]);
    expect(await told()).toMatchObject([
      {
        integration_id: 'int_north',
        device_id: deviceId('int_north', 'cam-1'),
        type: 'system.custom_event_failed',
        vendor_code: 'FORBIDDEN',
        summary: 'The event sensor.water_leak of Cellar could not be created at cam-1: the token may not trigger',
      },
    ]);
  });

  it('are given up after a day of trying, which is told once', async () => {
    const { write, dispatcher, clock, told, outbox } = await start(async () => {
      throw new AdapterError('UNREACHABLE', 'nobody there');
    });
    await write(event());
    await dispatcher.run();
    clock.now += GIVE_UP_MS + 1_000;
    await dispatcher.run();
    expect(await told()).toHaveLength(3);
    await dispatcher.run();
    expect(await told()).toHaveLength(3);
    expect((await outbox()).every(({ state, is_uncertain: unknown }) => state === 'FAILED' && unknown === 1)).toBe(
      true,
    );
  });

  it('that a dying process had under way are looked for before they are created again', async () => {
    const { write, dispatcher, calls, clock, db } = await start();
    await write(event());
    // As a process leaves it that was killed between the call and its note.
    await db.write((tx) =>
      tx
        .updateTable('custom_events')
        .set({ attempts: 1, is_uncertain: 1, next_attempt_at: NOON + 1_000_000 })
        .execute(),
    );
    expect(await dispatcher.run()).toBe(0);
    clock.now += 1_000_001;
    expect(await dispatcher.run()).toBe(3);
    expect(calls.every(({ isRepeat }) => isRepeat)).toBe(true);
  });
});
