import { beforeEach, describe, expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Database } from '../../storage/database.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import {
  createParts,
  device,
  FakePlatform,
  seedBinding,
  seedIntegration,
  seedOrg,
  seedSite,
  TEST_NOW,
  until,
} from '../integrations/testing.ts';
import { createSyncEngine, type SyncEngine } from './engine.ts';

eachEngine('sync', (open) => {
  let db: Database;
  let platform: FakePlatform;
  let parts: ReturnType<typeof createParts>;
  let engine: SyncEngine;
  let orgId: string;
  let siteId: string;
  let id: string;

  beforeEach(async () => {
    db = await open();
    platform = new FakePlatform();
    platform.pageSize = 2;
    parts = createParts(db, platform);
    engine = createSyncEngine(parts);
    orgId = await seedOrg(db);
    siteId = await seedSite(db, orgId);
    id = await seedIntegration(db, orgId);
    await seedBinding(db, { orgId, integrationId: id, siteId });
  });

  const sync = async () => (await engine.run({ integrationId: id, trigger: 'SCHEDULE' })).run;
  const stored = () => db.read.selectFrom('devices').selectAll().orderBy('native_id').execute();
  const changes = () => db.read.selectFrom('inventory_changes').selectAll().orderBy('seq').execute();
  const events = () => db.read.selectFrom('events').selectAll().orderBy('seq').execute();
  const integration = () =>
    db.read.selectFrom('integrations').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

  it('stores what a platform lists, with where it is and how it is', async () => {
    platform.devices = [
      device('a', {
        macAddresses: ['00-1B-44-11-3A-B7', 'no mac'],
        tags: ['lobby', 'lobby'],
        zone: { name: 'Ground floor', kind: 'FLOOR' },
        parentNativeId: 'b',
        telemetry: { batteryPercent: 80 },
      }),
      device('b', {
        nativeSiteId: 'site-2',
        status: { state: 'OFFLINE', reason: 'POWER', vendorState: 'off', observedAt: new Date(TEST_NOW - 5_000) },
      }),
      device('c', { status: null }),
    ];
    const run = await sync();
    expect(run).toMatchObject({
      state: 'SUCCEEDED',
      listed: 3,
      added: 3,
      updated: 0,
      removed: 0,
      unmapped: 1,
      errors: '[]',
    });
    const [a, b, c] = await stored();
    expect(a).toMatchObject({
      id: deviceId(id, 'a'),
      site_id: siteId,
      parent_id: deviceId(id, 'b'),
      state: 'ONLINE',
      state_rank: 3,
      state_observed_at: TEST_NOW,
      last_seen_at: TEST_NOW,
      mac_addresses: '["00:1b:44:11:3a:b7"]',
      tags: '["lobby"]',
    });
    expect(JSON.parse(a?.telemetry ?? '')).toEqual({ batteryPercent: 80, observedAt: TEST_NOW });
    expect(b).toMatchObject({
      site_id: null,
      state: 'OFFLINE',
      state_reason: 'POWER',
      state_since: TEST_NOW - 5_000,
      last_seen_at: null,
    });
    expect(c).toMatchObject({ state: 'UNKNOWN', state_observed_at: 0 });
    const zone = await db.read.selectFrom('zones').selectAll().executeTakeFirstOrThrow();
    expect(zone).toMatchObject({ id: a?.zone_id, site_id: siteId, name: 'Ground floor', kind: 'FLOOR' });
    const macs = await db.read.selectFrom('device_macs').selectAll().execute();
    expect(macs).toEqual([{ mac: '00:1b:44:11:3a:b7', device_id: a?.id, org_id: orgId }]);
    const ids = await db.read.selectFrom('external_ids').select(['namespace', 'value']).orderBy('value').execute();
    expect(ids[0]).toEqual({ namespace: 'fake-cloud:device-id', value: 'a' });
    expect((await changes()).map(({ kind }) => kind)).toEqual(['ADDED', 'ADDED', 'ADDED']);
    expect(await integration()).toMatchObject({
      state: 'CONNECTED',
      last_sync_state: 'SUCCEEDED',
      last_sync_at: TEST_NOW,
      error_code: null,
    });
  });

  it('writes nothing but the times when nothing changed', async () => {
    platform.devices = [device('a'), device('b')];
    await sync();
    const before = await stored();
    await parts.clock.advance(1_000);
    expect(await sync()).toMatchObject({ state: 'SUCCEEDED', listed: 2, added: 0, updated: 0 });
    const moved = before.map((row) => ({
      ...row,
      state_observed_at: TEST_NOW + 1_000,
      claim_received_at: TEST_NOW + 1_000,
      evidence: row.evidence.replaceAll(String(TEST_NOW), String(TEST_NOW + 1_000)),
      last_seen_at: TEST_NOW + 1_000,
    }));
    expect(await stored()).toEqual(moved);
    expect(await changes()).toHaveLength(2);
  });

  it('takes inventories of several chunks', async () => {
    engine = createSyncEngine({ ...parts, chunks: { baseline: 40, usual: 30 } });
    const count = 95;
    const list = (firmware: string) =>
      Array.from({ length: count }, (_, at) => device(`d${at}`, { firmware, tags: ['x'] }));
    platform.pageSize = 7;
    platform.devices = list('1');
    expect(await sync()).toMatchObject({ state: 'SUCCEEDED', listed: count, added: count });
    await parts.clock.advance(1_000);
    expect(await sync()).toMatchObject({ state: 'SUCCEEDED', listed: count, added: 0, updated: 0 });
    expect((await stored()).every((row) => row.state_observed_at === TEST_NOW + 1_000)).toBe(true);
    platform.devices = list('2');
    expect(await sync()).toMatchObject({ state: 'SUCCEEDED', updated: count });
    expect((await stored()).every(({ firmware }) => firmware === '2')).toBe(true);
    expect(await changes()).toHaveLength(2 * count);
  });

  it('records which fields changed, before and after', async () => {
    platform.devices = [device('a', { firmware: '1.0', tags: ['x'], macAddresses: ['001b44113ab7'] })];
    await sync();
    const revision = await db.read.selectFrom('orgs').select('revision').executeTakeFirstOrThrow();
    platform.devices = [
      device('a', { firmware: '1.1', tags: ['y'], macAddresses: [], warrantyExpiresAt: new Date(0) }),
    ];
    expect(await sync()).toMatchObject({ added: 0, updated: 1 });
    const change = (await changes()).at(-1);
    expect(change).toMatchObject({ kind: 'UPDATED', site_id: siteId });
    expect(JSON.parse(change?.fields ?? '')).toEqual(
      [
        { name: 'network.macAddresses', before: '00:1b:44:11:3a:b7', after: '' },
        { name: 'firmware', before: '1.0', after: '1.1' },
        { name: 'tags', before: 'x', after: 'y' },
        { name: 'warrantyExpiresAt', before: null, after: '1970-01-01T00:00:00.000Z' },
      ].toSorted((x, y) => order(x.name) - order(y.name)),
    );
    expect(await db.read.selectFrom('device_tags').select('tag').execute()).toEqual([{ tag: 'y' }]);
    expect(await db.read.selectFrom('device_macs').selectAll().execute()).toEqual([]);
    const after = await db.read.selectFrom('orgs').select('revision').executeTakeFirstOrThrow();
    expect(after.revision).toBeGreaterThan(revision.revision);
  });

  it('finds the zones of a site that was bound later', async () => {
    platform.devices = [device('a', { nativeSiteId: 'site-2', zone: { name: 'Roof', kind: 'AREA' } })];
    await sync();
    expect(await stored()).toMatchObject([{ site_id: null, zone_id: null }]);
    await seedBinding(db, { orgId, integrationId: id, siteId, vendorSiteId: 'site-2' });
    await sync();
    const zone = await db.read.selectFrom('zones').selectAll().executeTakeFirstOrThrow();
    expect(await stored()).toMatchObject([{ site_id: siteId, zone_id: zone.id }]);
    expect((await changes()).map(({ kind }) => kind)).toEqual(['ADDED', 'UPDATED', 'MOVED']);
  });

  it('tells of every change but those of the first listing, and of bindings', async () => {
    const told = async () =>
      (await events()).filter(({ family }) => family === 'INVENTORY').map(({ summary }) => summary);
    platform.devices = [device('a', { zone: { name: 'Roof', kind: 'AREA' } }), device('b', { nativeSiteId: 'site-2' })];
    await sync();
    expect(await told()).toEqual([]);
    await seedBinding(db, { orgId, integrationId: id, siteId: await seedSite(db, orgId), vendorSiteId: 'site-3' });
    platform.devices = [
      device('a', { zone: { name: 'Cellar', kind: 'AREA' }, firmware: '2' }),
      device('c', { nativeSiteId: 'site-3' }),
    ];
    await sync();
    platform.devices = [device('a', { nativeSiteId: 'site-3', firmware: '2' })];
    await sync();
    await sync();
    expect(await told()).toEqual([
      'Camera c was added',
      'Camera a was changed: firmware, zone',
      'Camera a was changed: vendorSiteId, zone',
      'Camera a came to another site',
      'Camera c is no longer listed',
    ]);
    const [added] = (await events()).filter(({ family }) => family === 'INVENTORY');
    expect(added).toMatchObject({ type: 'inventory.added', origin: 'POLL', device_id: deviceId(id, 'c'), changed: 0 });
    expect(JSON.parse(added?.details ?? '')).toEqual({ change: 'ADDED' });
  });

  it('moves a device that came to another site', async () => {
    platform.devices = [device('a')];
    await sync();
    platform.devices = [device('a', { nativeSiteId: 'site-9' })];
    await sync();
    expect((await changes()).map(({ kind }) => kind)).toEqual(['ADDED', 'UPDATED', 'MOVED']);
    expect(JSON.parse((await changes()).at(-1)?.fields ?? '')).toEqual([{ name: 'site', before: siteId, after: null }]);
    expect(await stored()).toMatchObject([{ site_id: null, vendor_site_id: 'site-9' }]);
  });

  describe('removal', () => {
    beforeEach(async () => {
      platform.devices = [device('a'), device('b'), device('c')];
      await sync();
      platform.devices = [device('a'), device('b')];
    });

    it('waits for two complete lists in a row', async () => {
      expect(await sync()).toMatchObject({ state: 'SUCCEEDED', removed: 0 });
      expect((await stored()).map(({ removed_at: at }) => at)).toEqual([null, null, null]);
      expect(await sync()).toMatchObject({ state: 'SUCCEEDED', removed: 1 });
      expect((await stored()).map(({ removed_at: at }) => at)).toEqual([null, null, TEST_NOW]);
      expect((await changes()).at(-1)).toMatchObject({
        kind: 'REMOVED',
        device_id: deviceId(id, 'c'),
        site_id: siteId,
      });
      expect(await sync()).toMatchObject({ removed: 0 });
    });

    it('starts to count anew when the device was listed in between', async () => {
      await sync();
      platform.devices = [device('a'), device('b'), device('c')];
      await sync();
      platform.devices = [device('a'), device('b')];
      expect(await sync()).toMatchObject({ removed: 0 });
    });

    it('leaves no trace on a device that was missed once', async () => {
      const [, , before] = await stored();
      await sync();
      await parts.clock.advance(5_000);
      platform.devices = [device('a'), device('b'), device('c')];
      await sync();
      const [, , after] = await stored();
      expect(after).toMatchObject({ missed_syncs: 0, updated_at: before?.updated_at });
      expect((await changes()).map(({ kind }) => kind)).toEqual(['ADDED', 'ADDED', 'ADDED']);
    });

    it('is revoked when the device is listed again', async () => {
      await sync();
      await sync();
      platform.devices = [device('a'), device('b'), device('c')];
      expect(await sync()).toMatchObject({ added: 1, updated: 0 });
      expect((await changes()).at(-1)).toMatchObject({ kind: 'RESTORED', device_id: deviceId(id, 'c') });
      expect((await stored()).every(({ removed_at: at }) => at === null)).toBe(true);
    });

    it.each([
      [
        'a page fails',
        () =>
          (platform.fault = (call, page) =>
            call === 'listDevices' && page === 2 ? new AdapterError('UNREACHABLE', 'HTTP 500') : null),
      ],
      ['a device cannot be read', () => (platform.rejected = [{ nativeId: 'x', reason: 'no name' }])],
      ['the platform counts more', () => (platform.totalCount = 9)],
    ])('never happens when %s', async (_, spoil) => {
      // Of the first of two pages only, so that something is missing each time.
      platform.devices = [device('a'), device('b'), device('d')];
      spoil();
      for (let run = 0; run < 3; run += 1) {
        const { state, removed, errors } = await sync();
        expect({ state, removed }).toEqual({ state: 'PARTIAL', removed: 0 });
        expect(JSON.parse(errors)).toHaveLength(1);
      }
      const [a, b, c] = await stored();
      expect([a, b, c].map((row) => [row?.removed_at, row?.missed_syncs])).toEqual([
        [null, 0],
        [null, 0],
        [null, 0],
      ]);
      expect(await integration()).toMatchObject({ state: 'DEGRADED', last_sync_state: 'PARTIAL' });
      expect((await events()).filter(({ family }) => family === 'SYSTEM').map(({ type }) => type)).toEqual([
        'system.integration_connected',
        'system.integration_degraded',
      ]);
    });
  });

  it('keeps what was read before a page failed', async () => {
    platform.devices = [device('a'), device('b'), device('c')];
    platform.fault = (_, page) => (page === 2 ? new AdapterError('UNREACHABLE', 'The platform answered 500') : null);
    const run = await sync();
    expect(run).toMatchObject({ state: 'PARTIAL', listed: 2, added: 2 });
    expect(JSON.parse(run.errors)).toMatchObject([{ code: 'UNREACHABLE', message: 'The platform answered 500' }]);
    expect(await stored()).toHaveLength(2);
  });

  it('fails when nothing could be read', async () => {
    platform.fault = () => new AdapterError('RATE_LIMITED', 'slow down', { retryAfterMs: 7_000 });
    const { run, failure } = await engine.run({ integrationId: id, trigger: 'SCHEDULE' });
    expect(run).toMatchObject({ state: 'FAILED', listed: 0 });
    expect(failure).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 7_000 });
    expect(await integration()).toMatchObject({
      state: 'DEGRADED',
      error_code: 'RATE_LIMITED',
      error_message: 'slow down',
    });
  });

  it('does not believe an empty answer of a platform that had devices', async () => {
    platform.devices = [device('a')];
    await sync();
    platform.devices = [];
    platform.totalCount = null;
    expect(await sync()).toMatchObject({ state: 'FAILED', removed: 0 });
    expect(await sync()).toMatchObject({ state: 'FAILED', removed: 0 });
    expect(await stored()).toMatchObject([{ removed_at: null, missed_syncs: 0 }]);
    platform.totalCount = 0;
    await sync();
    expect(await sync()).toMatchObject({ state: 'SUCCEEDED', removed: 1 });
  });

  it('asks for new credentials when the platform refuses ours', async () => {
    platform.fault = () => new AdapterError('UNAUTHENTICATED', 'refused');
    await sync();
    await sync();
    expect(await integration()).toMatchObject({ state: 'REAUTH_REQUIRED', error_code: 'UNAUTHENTICATED' });
    expect((await events()).map(({ type, severity }) => [type, severity])).toEqual([
      ['system.integration_reauth_required', 3],
    ]);
  });

  it('takes a device that is listed twice once, and does not call that complete', async () => {
    platform.devices = [device('a'), device('b'), device('a', { name: 'again' }), device('c')];
    expect(await sync()).toMatchObject({ state: 'PARTIAL', listed: 3, added: 3 });
    expect((await stored())[0]).toMatchObject({ name: 'Camera a' });
  });

  it('refuses ids that cannot be kept', async () => {
    platform.devices = [device('a'), device(' '), device('x'.repeat(301)), device('n\0ul')];
    const run = await sync();
    expect(run).toMatchObject({ state: 'PARTIAL', listed: 1 });
    expect(JSON.parse(run.errors)).toHaveLength(3);
  });

  describe('status', () => {
    const offline = { state: 'OFFLINE', reason: null, vendorState: 'offline', observedAt: null } as const;

    it('that differs from what we believe becomes a health event, once', async () => {
      platform.devices = [device('a')];
      await sync();
      await parts.clock.advance(60_000);
      platform.devices = [device('a', { status: offline })];
      await sync();
      await parts.clock.advance(60_000);
      await sync();
      const health = (await events()).filter(({ family }) => family === 'HEALTH');
      expect(health).toMatchObject([
        {
          type: 'health.offline',
          origin: 'POLL',
          state: 'OFFLINE',
          previous_state: 'ONLINE',
          changed: 1,
          occurred_at: TEST_NOW + 60_000,
        },
      ]);
      expect(await stored()).toMatchObject([
        {
          state: 'OFFLINE',
          state_since: TEST_NOW + 60_000,
          state_observed_at: TEST_NOW + 120_000,
          last_seen_at: TEST_NOW,
        },
      ]);
    });

    it('is overruled by an event that came while the listing ran', async () => {
      platform.devices = [device('a')];
      await sync();
      await parts.clock.advance(60_000);
      const { promise, resolve } = Promise.withResolvers<void>();
      platform.gate = () => promise;
      const running = engine.run({ integrationId: id, trigger: 'SCHEDULE' });
      await until('the listing runs', () => platform.calls.filter((call) => call === 'listDevices').length === 2);
      const row = await integration();
      await db.write((tx) =>
        parts.events.writeEvents(
          tx,
          row,
          [
            {
              vendorEventId: 'e1',
              family: 'HEALTH',
              type: 'health.offline',
              vendorCode: null,
              severity: 'WARNING',
              // The very instant at which the listing began.
              occurredAt: new Date(TEST_NOW + 60_000),
              nativeOrgId: 'account-1',
              nativeSiteId: 'site-1',
              nativeDeviceId: 'a',
              claim: { ...offline, observedAt: new Date(TEST_NOW + 60_000) },
              isLifeSign: false,
              summary: 'offline',
              details: {},
              raw: null,
            },
          ],
          'WEBHOOK',
          TEST_NOW + 60_600,
        ),
      );
      await parts.clock.advance(1_000);
      resolve();
      await running;
      expect(await stored()).toMatchObject([{ state: 'OFFLINE', state_observed_at: TEST_NOW + 60_000 }]);
      const health = (await events()).filter(({ family }) => family === 'HEALTH');
      expect(health.map(({ origin }) => origin)).toEqual(['WEBHOOK']);
    });

    it('of a device at an unbound site moves without an event', async () => {
      platform.devices = [device('a', { nativeSiteId: 'site-2' })];
      await sync();
      await parts.clock.advance(1_000);
      platform.devices = [device('a', { nativeSiteId: 'site-2', status: offline })];
      await sync();
      expect(await stored()).toMatchObject([{ state: 'OFFLINE', state_rank: 0, state_since: TEST_NOW + 1_000 }]);
      expect((await events()).filter(({ family }) => family === 'HEALTH')).toEqual([]);
    });

    it('of the future does not lock the state', async () => {
      platform.devices = [device('a', { status: { ...offline, observedAt: new Date(TEST_NOW + 86_400_000) } })];
      await sync();
      expect(await stored()).toMatchObject([{ state_observed_at: TEST_NOW, state_since: TEST_NOW }]);
    });
  });
});

const FIELD_ORDER = ['network.macAddresses', 'firmware', 'tags', 'warrantyExpiresAt'];
function order(name: string): number {
  return FIELD_ORDER.indexOf(name);
}
