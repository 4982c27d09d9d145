import { beforeEach, describe, expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Database } from '../../storage/database.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createSyncEngine } from '../sync/engine.ts';
import type { IntegrationInput } from './payloads.ts';
import { createIntegrationService, type IntegrationService } from './service.ts';
import { createParts, device, FakePlatform, principalOf, seedOrg, seedSite, TEST_NOW } from './testing.ts';
import { readWebhookSecret } from './webhook-secrets.ts';

const HOUR_MS = 3_600_000;

eachEngine('integration service, sites and secrets', (open) => {
  let db: Database;
  let platform: FakePlatform;
  let parts: ReturnType<typeof createParts>;
  let service: IntegrationService;
  let orgId: string;
  let replays: (readonly string[])[];

  beforeEach(async () => {
    db = await open();
    platform = new FakePlatform();
    parts = createParts(db, platform);
    replays = [];
    service = createIntegrationService({
      ...parts,
      webhookUrl: (id) => `https://here.example/webhooks/${id}`,
      replay: async (id, stages) => void replays.push([id, ...stages]),
    });
    orgId = await seedOrg(db);
  });

  const admin = () => principalOf([orgId]);
  const input = (changes: Partial<IntegrationInput> = {}): IntegrationInput => ({
    orgId,
    vendor: 'FAKE_CLOUD',
    name: 'Fake of ours',
    baseUrl: new URL('https://fake.example/'),
    credentials: { apiKey: 'a very secret key' },
    ...changes,
  });
  const create = (key = 'k', changes: Partial<IntegrationInput> = {}) =>
    service.createIntegration(admin(), { integration: input(changes), idempotencyKey: key });
  const created = async () => {
    const { integration } = await create();
    if (integration === null) throw new Error('not created');
    return integration;
  };
  const secrets = () => db.read.selectFrom('secrets').selectAll().orderBy('created_at').execute();

  describe('bindSite', () => {
    let id: string;
    let siteId: string;

    beforeEach(async () => {
      id = (await created()).id;
      siteId = await seedSite(db, orgId);
      platform.devices = [device('a'), device('b', { nativeSiteId: 'site-2' })];
      await createSyncEngine(parts).run({ integrationId: id, trigger: 'FIRST' });
    });

    const bind = (changes: object = {}) =>
      service.bindSite(admin(), {
        integrationId: id,
        vendorOrgId: 'account-1',
        vendorSiteId: 'site-1',
        siteId,
        ...changes,
      });
    const places = async () => {
      const rows = await db.read.selectFrom('devices').select(['native_id', 'site_id']).orderBy('native_id').execute();
      return rows.map((row) => row.site_id);
    };

    it('moves the devices that are known from it and replays what waited', async () => {
      const { binding, userErrors } = await bind();
      expect(userErrors).toEqual([]);
      expect(binding).toMatchObject({ site_id: siteId, vendor_site_name: 'Head office', org_id: orgId });
      expect(await places()).toEqual([siteId, null]);
      const moved = await db.read.selectFrom('inventory_changes').selectAll().where('kind', '=', 'MOVED').execute();
      expect(moved).toMatchObject([{ device_id: deviceId(id, 'a'), site_id: siteId }]);
      expect(replays).toEqual([[id, 'BINDING']]);
    });

    it('is idempotent for the same site and refuses another', async () => {
      const [first, second] = await Promise.all([bind(), bind()]);
      expect(second.binding?.id).toBe(first.binding?.id);
      const other = await bind({ siteId: await seedSite(db, orgId) });
      expect(other).toMatchObject({ binding: null, userErrors: [{ code: 'CONFLICT', path: ['vendorSiteId'] }] });
    });

    it('makes our site from what the vendor tells', async () => {
      const { binding } = await bind({ siteId: null, createSite: true });
      const site = await db.read
        .selectFrom('sites')
        .selectAll()
        .where('id', '=', binding?.site_id ?? '')
        .executeTakeFirst();
      expect(site).toMatchObject({
        name: 'Head office',
        address: '1 Main Street',
        timezone: 'Europe/Berlin',
        org_id: orgId,
      });
      const sites = await db.read.selectFrom('sites').select('id').execute();
      const again = await bind({ siteId: null, createSite: true });
      expect(again.binding?.id).toBe(binding?.id);
      expect(await db.read.selectFrom('sites').select('id').execute()).toHaveLength(sites.length);
    });

    it.each([
      ['both ways at once', { createSite: true }, 'INVALID'],
      ['neither way', { siteId: null }, 'INVALID'],
      ['a site that does not exist', { siteId: 'site_none' }, 'NOT_FOUND'],
      ['a vendor site that does not exist', { vendorSiteId: 'site-404' }, 'NOT_FOUND'],
    ])('refuses %s', async (_, changes, code) => {
      expect(await bind(changes)).toMatchObject({ binding: null, userErrors: [{ code }] });
      expect(await places()).toEqual([null, null]);
    });

    it("refuses another org's site", async () => {
      const foreign = await seedSite(db, await seedOrg(db, 'Other'));
      expect(await bind({ siteId: foreign })).toMatchObject({ userErrors: [{ code: 'NOT_FOUND', path: ['siteId'] }] });
    });

    it('takes the word of an operator while the platform is down, and makes nothing from nothing', async () => {
      platform.fault = () => new AdapterError('UNREACHABLE', 'down');
      expect(await bind({ siteId: null, createSite: true })).toMatchObject({ userErrors: [{ code: 'UNREACHABLE' }] });
      expect(await bind()).toMatchObject({ binding: { vendor_site_name: null }, userErrors: [] });
    });

    it('is undone by unbindSite', async () => {
      const { binding } = await bind();
      expect(await service.unbindSite(admin(), { id: binding?.id ?? '' })).toEqual({
        deletedId: binding?.id,
        userErrors: [],
      });
      expect(await places()).toEqual([null, null]);
      expect(await service.unbindSite(admin(), { id: binding?.id ?? '' })).toMatchObject({
        userErrors: [{ code: 'NOT_FOUND' }],
      });
    });
  });

  describe('rotateWebhookSecret', () => {
    it('keeps the previous secret for the overlap', async () => {
      const { id } = await created();
      await parts.clock.advance(1_000);
      const payload = await service.rotateWebhookSecret(admin(), { integrationId: id, overlap: HOUR_MS });
      expect(payload).toMatchObject({
        webhook: { id },
        previousValidUntil: TEST_NOW + 1_000 + HOUR_MS,
        userErrors: [],
      });
      expect(payload.newSecretOnce).toMatch(/^whsec_/);
      const rows = (await secrets()).filter(({ purpose }) => purpose === 'webhook');
      expect(rows.map((row) => row.expires_at)).toEqual([TEST_NOW + 1_000 + HOUR_MS, null]);
      expect(await readWebhookSecret(db, parts.vault, id)).toBe(payload.newSecretOnce);
    });

    it('revokes at once without overlap, and never lengthens an overlap', async () => {
      const { id } = await created();
      const rotate = (overlap: number) => service.rotateWebhookSecret(admin(), { integrationId: id, overlap });
      await rotate(HOUR_MS);
      await rotate(7 * 24 * HOUR_MS);
      const ends = (await secrets()).filter(({ purpose }) => purpose === 'webhook').map((row) => row.expires_at);
      expect(ends).toContain(TEST_NOW + HOUR_MS);
      expect((await rotate(0)).previousValidUntil).toBeNull();
      expect((await secrets()).filter(({ purpose }) => purpose === 'webhook')).toHaveLength(1);
    });

    it('takes a secret of the vendor and does not show it again', async () => {
      const { id } = await created();
      const secret = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
      const payload = await service.rotateWebhookSecret(admin(), { integrationId: id, secret });
      expect(payload).toMatchObject({ newSecretOnce: null, userErrors: [] });
      expect(await readWebhookSecret(db, parts.vault, id)).toBe(secret);
    });

    it.each([
      ['a short secret', { secret: `whsec_${Buffer.alloc(23, 1).toString('base64')}` }, ['secret']],
      ['a secret that is not Base64', { secret: 'whsec_***************************************' }, ['secret']],
      ['an overlap of more than seven days', { overlap: 7 * 24 * HOUR_MS + 1 }, ['overlap']],
    ])('refuses %s', async (_, changes, path) => {
      const { id } = await created();
      const payload = await service.rotateWebhookSecret(admin(), { integrationId: id, ...changes });
      expect(payload).toMatchObject({ webhook: null, userErrors: [{ code: 'INVALID', path }] });
    });

    it('tells a platform that was told the old one', async () => {
      const told: string[] = [];
      platform.registers = (target) => {
        told.push(target.secret);
        return { nativeId: 'hook-1', secret: target.secret };
      };
      const { id } = await created();
      const { newSecretOnce } = await service.rotateWebhookSecret(admin(), { integrationId: id });
      expect(told.at(-1)).toBe(newSecretOnce);
      expect(told).toHaveLength(2);
    });
  });

  describe('vendorSites', () => {
    it('tells the sites of the account and what each is bound to', async () => {
      const { id } = await created();
      const siteId = await seedSite(db, orgId);
      const [head] = platform.sites;
      platform.sites = head === undefined ? [] : [head, { ...head, nativeId: 'site-2', name: 'Depot' }];
      await service.bindSite(admin(), { integrationId: id, vendorOrgId: 'account-1', vendorSiteId: 'site-1', siteId });
      const sites = await service.vendorSites(admin(), id);
      expect(sites.map(({ vendorSiteId, boundTo }) => [vendorSiteId, boundTo?.id])).toEqual([
        ['site-1', siteId],
        ['site-2', undefined],
      ]);
      const limited = principalOf([orgId], { access: { orgIds: [orgId], siteIds: [siteId] } });
      expect((await service.vendorSites(limited, id)).map(({ vendorSiteId }) => vendorSiteId)).toEqual(['site-1']);
    });

    it('hides what is out of scope and shows why a platform does not answer', async () => {
      const { id } = await created();
      const code = (value: string) => ({ extensions: { code: value } });
      await expect(service.vendorSites(principalOf(['org_x']), id)).rejects.toMatchObject(code('BAD_USER_INPUT'));
      await expect(service.vendorSites(principalOf([orgId], { scopes: new Set() }), id)).rejects.toMatchObject(
        code('FORBIDDEN'),
      );
      platform.fault = () => new AdapterError('UNREACHABLE', 'down');
      await expect(service.vendorSites(admin(), id)).rejects.toMatchObject({
        extensions: { code: 'PLATFORM_UNREACHABLE', integrationId: id },
      });
    });
  });
});
