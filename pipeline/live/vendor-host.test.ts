import { beforeEach, describe, expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { VendorHost } from '../../adapter-kit/vendor-host.ts';
import type { Database } from '../../storage/database.ts';
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
  until,
} from '../integrations/testing.ts';
import { createSyncEngine } from '../sync/engine.ts';
import { OPEN_MS } from './platform-gate.ts';
import { createVendorHost } from './vendor-host.ts';

eachEngine('vendor host', (open) => {
  let db: Database;
  let platform: FakePlatform;
  let parts: ReturnType<typeof createParts>;
  let host: VendorHost;
  let orgId: string;
  let siteId: string;
  let id: string;

  beforeEach(async () => {
    db = await open();
    platform = new FakePlatform();
    platform.devices = [device('a'), device('b', { nativeSiteId: 'site-2' }), device('c', { nativeSiteId: 'site-3' })];
    parts = createParts(db, platform);
    host = createVendorHost(parts);
    orgId = await seedOrg(db);
    siteId = await seedSite(db, orgId);
    id = await seedIntegration(db, orgId);
    await seedBinding(db, { orgId, integrationId: id, siteId });
    await seedBinding(db, { orgId, integrationId: id, siteId: await seedSite(db, orgId), vendorSiteId: 'site-2' });
    await createSyncEngine(parts).run({ integrationId: id, trigger: 'FIRST' });
    platform.calls.length = 0;
  });

  const admin = () => principalOf([orgId]);
  const atSite = () => principalOf([orgId], { access: { orgIds: [orgId], siteIds: [siteId] } });
  // The store finds them in the order of ids that are random here.
  const read = async (ids: readonly string[], principal = admin()) =>
    [...(await host.readDevices(id, ids, principal)).keys()].toSorted();

  it('reads what the platform says now, in one call that knows where the devices are', async () => {
    expect(await read(['a', 'b', 'unknown'])).toEqual(['a', 'b']);
    expect(platform.reads).toHaveLength(1);
    expect(platform.reads[0]?.toSorted((a, b) => a.nativeId.localeCompare(b.nativeId))).toEqual([
      { nativeId: 'a', nativeOrgId: 'account-1', nativeSiteId: 'site-1' },
      { nativeId: 'b', nativeOrgId: 'account-1', nativeSiteId: 'site-2' },
    ]);
  });

  it('leaves out what the platform no longer has', async () => {
    platform.devices = [device('a')];
    expect(await read(['a', 'b'])).toEqual(['a']);
  });

  it.each([
    ['another org', () => principalOf([])],
    ['a principal without the scope', () => principalOf([orgId], { scopes: new Set(['events:read']) })],
  ])('asks nothing on behalf of %s', async (_, principal) => {
    expect(await read(['a', 'b'], principal())).toEqual([]);
    expect(await host.readPlatform(id, principal())).toBeNull();
    expect(await host.pageDevices(id, 10, null, principal())).toEqual({ devices: [], next: null });
    expect(platform.calls).toEqual([]);
  });

  it('shows a principal that is limited to sites the devices of those', async () => {
    expect(await read(['a', 'b', 'c'], atSite())).toEqual(['a']);
    const page = await host.pageDevices(id, 2, null, atSite());
    expect([page.devices.map(({ nativeId }) => nativeId), page.next]).toEqual([['a'], '2']);
    const all = await host.pageDevices(id, 10, null, admin());
    expect(all.devices.map(({ nativeId }) => nativeId)).toEqual(['a', 'b', 'c']);
  });

  it('shares a read of the platform', async () => {
    const answers = await Promise.all([host.readPlatform(id, admin()), host.readPlatform(id, admin())]);
    expect(answers.map((answer) => answer?.version)).toEqual(['1.0', '1.0']);
    expect(platform.calls.length).toBeLessThanOrEqual(2);
  });

  it('gives at most 500 devices to one call', async () => {
    platform.devices = Array.from({ length: 501 }, (_, index) => device(`d${index}`));
    await createSyncEngine(parts).run({ integrationId: id, trigger: 'MANUAL' });
    expect(await read(platform.devices.map(({ nativeId }) => nativeId))).toHaveLength(501);
    expect(platform.reads.map((refs) => refs.length).toSorted((x, y) => x - y)).toEqual([1, 500]);
  });

  describe('when the platform fails', () => {
    it('tells every waiting reader why', async () => {
      platform.fault = () => new AdapterError('BAD_PAYLOAD', 'not JSON');
      const ends = await Promise.allSettled([read(['a']), read(['a', 'b'])]);
      expect(ends).toMatchObject([{ reason: { code: 'BAD_PAYLOAD' } }, { reason: { code: 'BAD_PAYLOAD' } }]);
    });

    it('gives up at the deadline, even on an adapter that never answers', async () => {
      platform.gate = () => new Promise(() => undefined);
      const end = Promise.allSettled([read(['a'])]);
      await until('it is asked', () => platform.calls.length > 0);
      await parts.clock.advance(3_000);
      expect(await end).toMatchObject([{ reason: { code: 'TIMEOUT' } }]);
    });

    it('takes a shorter deadline from the settings', async () => {
      await db.write((tx) =>
        tx.updateTable('integrations').set({ settings: '{"liveDeadlineMs":250}', version: 2 }).execute(),
      );
      platform.gate = () => new Promise(() => undefined);
      const message = 'The platform did not answer within 250 ms';
      const end = Promise.allSettled([read(['a'])]);
      await until('it is asked', () => platform.calls.length > 0);
      await parts.clock.advance(250);
      expect(await end).toMatchObject([{ reason: { code: 'TIMEOUT', message } }]);
    });

    it('leaves it alone for a moment and then asks again', async () => {
      platform.fault = () => new AdapterError('UNREACHABLE', 'refused');
      await expect(read(['a'])).rejects.toMatchObject({ code: 'UNREACHABLE' });
      await expect(read(['b'])).rejects.toMatchObject({ code: 'UNREACHABLE' });
      await expect(host.readPlatform(id, admin())).rejects.toMatchObject({ code: 'UNREACHABLE' });
      expect(platform.calls).toHaveLength(1);
      platform.fault = () => null;
      await parts.clock.advance(OPEN_MS);
      expect(await read(['a'])).toEqual(['a']);
    });

    it('waits as long as it asks for', async () => {
      platform.fault = () => new AdapterError('RATE_LIMITED', 'slow down', { retryAfterMs: 5_000 });
      await expect(read(['a'])).rejects.toMatchObject({ code: 'RATE_LIMITED' });
      await parts.clock.advance(4_999);
      await expect(read(['a'])).rejects.toMatchObject({ code: 'RATE_LIMITED' });
      expect(platform.calls).toHaveLength(1);
      await parts.clock.advance(1);
      await expect(read(['a'])).rejects.toMatchObject({ code: 'RATE_LIMITED' });
      expect(platform.calls).toHaveLength(2);
    });

    it('slows nobody but its own integration', async () => {
      const other = await seedIntegration(db, orgId);
      await createSyncEngine(parts).run({ integrationId: other, trigger: 'FIRST' });
      platform.calls.length = 0;
      platform.gate = () => (platform.calls.length === 1 ? new Promise(() => undefined) : Promise.resolve());
      const end = Promise.allSettled([read(['a'])]);
      await until('it is asked', () => platform.calls.length > 0);
      expect([...(await host.readDevices(other, ['a'], admin())).keys()]).toEqual(['a']);
      await parts.clock.advance(3_000);
      expect(await end).toMatchObject([{ reason: { code: 'TIMEOUT' } }]);
    });

    it('stops asking with credentials that it refused', async () => {
      platform.fault = () => new AdapterError('UNAUTHENTICATED', 'refused');
      await expect(read(['a'])).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      await expect(read(['a'])).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      expect(platform.calls).toHaveLength(1);
      const row = await db.read.selectFrom('integrations').selectAll().executeTakeFirstOrThrow();
      expect(row).toMatchObject({ state: 'REAUTH_REQUIRED', error_code: 'UNAUTHENTICATED' });
    });
  });

  it('does not ask a platform whose integration is switched off', async () => {
    await db.write((tx) => tx.updateTable('integrations').set({ enabled: 0 }).execute());
    await expect(read(['a'])).rejects.toMatchObject({ code: 'MISCONFIGURED' });
    expect(platform.calls).toEqual([]);
  });

  it('opens a new adapter when the integration changed, and closes the old one', async () => {
    await read(['a']);
    const { opened, closed } = platform;
    await db.write((tx) => tx.updateTable('integrations').set({ version: 2 }).execute());
    await Promise.all([read(['a']), read(['b'])]);
    expect([platform.opened - opened, platform.closed - closed]).toEqual([1, 1]);
    await parts.runtime.close();
    expect(platform.closed).toBe(platform.opened);
  });
});
