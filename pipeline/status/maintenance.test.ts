import { beforeEach, expect, it } from 'vitest';
import type { Principal } from '../../schema/principal.ts';
import type { Database } from '../../storage/database.ts';
import { deviceId } from '../../storage/ids.ts';
import { insertWindow, MAX_OPEN_WINDOWS } from '../../storage/maintenance-windows.ts';
import { eachEngine } from '../../storage/testing.ts';
import {
  createParts,
  device,
  FakePlatform,
  principalOf,
  seedBinding,
  seedIntegration,
  seedOrg,
  seedSite,
  TEST_NOW,
} from '../integrations/testing.ts';
import { createSyncEngine, type SyncEngine } from '../sync/engine.ts';
import { createMaintenance, type Maintenance } from './maintenance.ts';

const HOUR = 3_600_000;

eachEngine('planned work', (open) => {
  let db: Database;
  let platform: FakePlatform;
  let parts: ReturnType<typeof createParts>;
  let engine: SyncEngine;
  let maintenance: Maintenance;
  let orgId: string;
  let siteId: string;
  let otherSiteId: string;
  let id: string;
  let now: number;

  beforeEach(async () => {
    db = await open();
    now = TEST_NOW;
    platform = new FakePlatform();
    platform.devices = [device('a'), device('b'), device('far', { nativeSiteId: 'site-2' })];
    parts = createParts(db, platform);
    engine = createSyncEngine(parts);
    maintenance = createMaintenance({ db, now: () => now });
    orgId = await seedOrg(db);
    siteId = await seedSite(db, orgId);
    otherSiteId = await seedSite(db, orgId, 'Other');
    id = await seedIntegration(db, orgId);
    await seedBinding(db, { orgId, integrationId: id, siteId });
    await seedBinding(db, { orgId, integrationId: id, siteId: otherSiteId, vendorSiteId: 'site-2' });
    await sync();
  });

  const sync = () => engine.run({ integrationId: id, trigger: 'SCHEDULE' });
  const who = (changes: Partial<Principal> = {}) => principalOf([orgId], changes);
  const span = (from = -HOUR, to = HOUR) => ({ from: now + from, to: now + to, reason: 'new cameras' });
  const planned = async (input: object, principal = who()) => {
    const { maintenanceWindow: window, userErrors } = await maintenance.create(principal, { ...span(), ...input });
    if (window === null) throw new Error(JSON.stringify(userErrors));
    return window.id;
  };
  const windows = async () => {
    const rows = await db.read.selectFrom('devices').select(['native_id', 'maintenance_id']).execute();
    return Object.fromEntries(rows.map((row) => [row.native_id, row.maintenance_id]));
  };
  const revision = async () =>
    (await db.read.selectFrom('orgs').select('revision').where('id', '=', orgId).executeTakeFirstOrThrow()).revision;

  it('takes effect at once, the narrowest window first, and ends when it is taken back', async () => {
    const before = await revision();
    const whole = await planned({ orgId });
    expect(await windows()).toEqual({ a: whole, b: whole, far: whole });
    expect(await revision()).toBeGreaterThan(before);
    const site = await planned({ siteId });
    const own = await planned({ deviceId: deviceId(id, 'a') });
    expect(await windows()).toEqual({ a: own, b: site, far: whole });
    expect(await maintenance.delete(who(), own)).toEqual({ deletedId: own, userErrors: [] });
    expect(await windows()).toEqual({ a: site, b: site, far: whole });
    await maintenance.delete(who(), site);
    await maintenance.delete(who(), whole);
    expect(await windows()).toEqual({ a: null, b: null, far: null });
  });

  it('begins and ends with the clock', async () => {
    const window = await planned({ siteId, ...span(HOUR, 2 * HOUR) });
    await maintenance.job.run(now);
    expect(await windows()).toEqual({ a: null, b: null, far: null });
    const before = await revision();
    now += HOUR;
    await maintenance.job.run(now);
    expect(await windows()).toEqual({ a: window, b: window, far: null });
    expect(await revision()).toBeGreaterThan(before);
    now += HOUR - 1;
    await maintenance.job.run(now);
    expect(await windows()).toMatchObject({ a: window });
    now += 1;
    await maintenance.job.run(now);
    expect(await windows()).toEqual({ a: null, b: null, far: null });
  });

  it('is put right by the first run of another process, and costs a quiet one no revision', async () => {
    const window = { orgId, siteId, deviceId: null, ...span(), createdBy: 'test' };
    const row = await db.write((tx) => insertWindow(tx, window, now));
    await createMaintenance({ db, now: () => now }).job.run(now);
    expect(await windows()).toMatchObject({ a: row?.id });
    const before = await revision();
    await createMaintenance({ db, now: () => now }).job.run(now);
    expect(await revision()).toBe(before);
  });

  it('is about devices that come, come back or move while it lasts', async () => {
    const window = await planned({ siteId });
    platform.devices = [device('a'), device('far', { nativeSiteId: 'site-1' }), device('new')];
    await sync();
    expect(await windows()).toMatchObject({ new: window, far: window });
    await sync();
    now += 61_000;
    await maintenance.job.run(now);
    expect(await windows()).toMatchObject({ a: window, b: null });
    platform.devices = [device('a'), device('b'), device('far', { nativeSiteId: 'site-1' }), device('new')];
    await sync();
    expect(await windows()).toMatchObject({ b: window });
  });

  it.each([
    [{}, 'orgId'],
    [{ orgId: 'org_x', siteId: 'site_x' }, 'orgId'],
    [{ siteId: 'S', to: TEST_NOW - HOUR }, 'to'],
    [{ siteId: 'S', to: TEST_NOW + 400 * 24 * HOUR }, 'to'],
    [{ siteId: 'S', reason: '  ' }, 'reason'],
    [{ siteId: 'S', reason: 'x'.repeat(501) }, 'reason'],
  ])('refuses %j', async (input, path) => {
    const { maintenanceWindow, userErrors } = await maintenance.create(who(), { ...span(), ...input });
    expect(maintenanceWindow).toBeNull();
    expect(userErrors).toMatchObject([{ code: 'INVALID', path: [path] }]);
  });

  it('is planned by those who may write, where they may look', async () => {
    const code = async (principal: Principal, input: object) =>
      (await maintenance.create(principal, { ...span(), ...input })).userErrors[0]?.code;
    const reader = who({ scopes: new Set(['inventory:read']) });
    const atSite = who({ access: { orgIds: [orgId], siteIds: [siteId] } });
    const stranger = principalOf(['org_x']);
    expect(await code(reader, { siteId })).toBe('FORBIDDEN');
    expect(await code(atSite, { orgId })).toBe('FORBIDDEN');
    expect(await code(atSite, { siteId: otherSiteId })).toBe('NOT_FOUND');
    expect(await code(atSite, { deviceId: deviceId(id, 'far') })).toBe('NOT_FOUND');
    expect(await code(stranger, { orgId })).toBe('NOT_FOUND');
    expect(await code(stranger, { siteId })).toBe('NOT_FOUND');
    expect(await code(atSite, { siteId })).toBeUndefined();
    expect(await code(atSite, { deviceId: deviceId(id, 'a') })).toBeUndefined();

    const far = await planned({ deviceId: deviceId(id, 'far') });
    const whole = await planned({ orgId });
    const deletion = async (principal: Principal, window: string) =>
      (await maintenance.delete(principal, window)).userErrors[0]?.code;
    expect(await deletion(reader, whole)).toBe('FORBIDDEN');
    expect(await deletion(atSite, whole)).toBe('FORBIDDEN');
    expect(await deletion(atSite, far)).toBe('NOT_FOUND');
    expect(await deletion(stranger, whole)).toBe('NOT_FOUND');
    expect(await deletion(who(), far)).toBeUndefined();
  });

  it('is forgotten when history is', async () => {
    const day = 24 * HOUR;
    await planned({ siteId, ...span(-402 * day, -401 * day) });
    const kept = await planned({ siteId, ...span(-401 * day, -399 * day) });
    await maintenance.job.run(now);
    const left = await db.read.selectFrom('maintenance_windows').select('id').execute();
    expect(left).toEqual([{ id: kept }]);
  });

  it('is settled beside integrations that write about the same devices', async () => {
    const other = await seedIntegration(db, orgId);
    await seedBinding(db, { orgId, integrationId: other, siteId });
    await engine.run({ integrationId: other, trigger: 'SCHEDULE' });
    for (let round = 0; round < 5; round += 1) {
      platform.devices = platform.devices.map((each) => ({ ...each, name: `${each.name}.` }));
      const [{ maintenanceWindow: window }] = await Promise.all([
        maintenance.create(who(), { ...span(), orgId }),
        sync(),
        engine.run({ integrationId: other, trigger: 'SCHEDULE' }),
      ]);
      await Promise.all([maintenance.delete(who(), window?.id ?? ''), sync()]);
    }
    expect(new Set(Object.values(await windows()))).toEqual(new Set([null]));
  });

  it('has an end to how much of it an org can have ahead', async () => {
    const row = { org_id: orgId, site_id: siteId, device_id: null, from_at: now + 1, to_at: now + 2 };
    const rest = { reason: 'x', created_by: 'test', created_at: now };
    const rows = Array.from({ length: MAX_OPEN_WINDOWS }, (_, index) => ({ id: `mw_${index}`, ...row, ...rest }));
    await db.write((tx) => tx.insertInto('maintenance_windows').values(rows).execute());
    const { userErrors } = await maintenance.create(who(), { siteId, ...span() });
    expect(userErrors).toMatchObject([{ code: 'CONFLICT' }]);
  });
});
