import { beforeEach, describe, expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { WebhookTarget } from '../../adapter-kit/adapter.ts';
import type { Database } from '../../storage/database.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createSyncEngine } from '../sync/engine.ts';
import type { IntegrationInput } from './payloads.ts';
import { createIntegrationService, type IntegrationService } from './service.ts';
import {
  createParts,
  device,
  FakePlatform,
  principalOf,
  seedIntegration,
  seedOrg,
  seedSite,
  TEST_NOW,
} from './testing.ts';
import { readWebhookSecret } from './webhook-secrets.ts';

const HOUR_MS = 3_600_000;

eachEngine('integration service', (open) => {
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
  const integrations = () => db.read.selectFrom('integrations').selectAll().execute();
  const secrets = () => db.read.selectFrom('secrets').selectAll().orderBy('created_at').execute();

  describe('testIntegration', () => {
    it('tells each check and the account, and stores nothing', async () => {
      const payload = await service.testIntegration(admin(), input());
      expect(payload).toEqual({
        ok: true,
        checks: platform.probeReport.checks,
        accountName: 'Account One',
        userErrors: [],
      });
      expect([await integrations(), await secrets()]).toEqual([[], []]);
      expect(platform.closed).toBe(platform.opened);
    });

    it.each([
      ['dns', 'UNREACHABLE', ['baseUrl']],
      ['tls', 'UNREACHABLE', ['baseUrl']],
      ['credentials', 'UNAUTHENTICATED_AT_PLATFORM', ['credentials']],
      ['permission', 'UNAUTHENTICATED_AT_PLATFORM', ['credentials']],
      ['inventory', 'OTHER', null],
    ])('says what failed: %s', async (id, code, path) => {
      platform.probeReport = {
        ...platform.probeReport,
        checks: [
          { id, title: 'The step', state: 'FAIL', detail: 'it broke' },
          { id: 'later', title: 'Later', state: 'SKIPPED', detail: null },
        ],
      };
      const payload = await service.testIntegration(admin(), input());
      expect(payload.ok).toBe(false);
      expect(payload.userErrors).toEqual([{ code, message: 'The step: it broke', path, hint: null }]);
    });

    it('turns a thrown failure into a user error', async () => {
      platform.fault = () => new AdapterError('UNREACHABLE', 'no route');
      const { ok, userErrors } = await service.testIntegration(admin(), input());
      expect([ok, userErrors.map(({ code }) => code)]).toEqual([false, ['UNREACHABLE']]);
    });

    it('ends at its deadline when the platform never answers', async () => {
      platform.gate = () => new Promise(() => undefined);
      const pending = service.testIntegration(admin(), input());
      while (platform.calls.length === 0) await new Promise(setImmediate);
      await parts.clock.advance(20_000);
      expect((await pending).userErrors).toMatchObject([{ code: 'TIMEOUT' }]);
    });

    it.each<[string, Partial<IntegrationInput>, string[]]>([
      ['an unknown vendor', { vendor: 'NOBODY' }, ['vendor']],
      ['no name', { name: '  ' }, ['name']],
      ['another protocol', { baseUrl: new URL('ftp://fake.example') }, ['baseUrl']],
      ['a password in the address', { baseUrl: new URL('https://user:pw@fake.example') }, ['baseUrl']],
      ['no credentials', { credentials: null }, ['credentials']],
      [
        'two kinds of credentials',
        { credentials: { apiKey: 'x', basic: { username: 'u', password: 'p' } } },
        ['credentials'],
      ],
      [
        'an empty password',
        { credentials: { basic: { username: 'u', password: '' } } },
        ['credentials', 'basic', 'password'],
      ],
      [
        'a kind that the vendor does not take',
        { credentials: { signedJwt: { issuer: 'i', privateKeyPem: 'p' } } },
        ['credentials', 'signedJwt'],
      ],
      ['an unknown setting', { settings: { size: 1 } }, ['settings']],
      ['a setting of a wrong type', { settings: { colour: 1 } }, ['settings', 'colour']],
      ['settings that are a list', { settings: [] }, ['settings']],
      ['a profile that the vendor does not sign with', { signatureProfile: 'PATH_SECRET' }, ['signatureProfile']],
    ])('refuses %s without asking the platform', async (_, changes, path) => {
      const { ok, userErrors } = await service.testIntegration(admin(), input(changes));
      expect(ok).toBe(false);
      expect(userErrors).toMatchObject([{ code: 'INVALID', path }]);
      expect(JSON.stringify(userErrors)).not.toContain('very secret');
      expect(platform.calls).toEqual([]);
    });
  });

  it.each([
    ['without the scope', () => principalOf([orgId], { scopes: new Set(['inventory:read']) }), 'FORBIDDEN'],
    ['limited to sites', () => principalOf([orgId], { access: { orgIds: [orgId], siteIds: ['site_1'] } }), 'FORBIDDEN'],
    ['of another org', () => principalOf(['org_other']), 'NOT_FOUND'],
  ])('lets a principal %s change nothing and learn nothing', async (_, principal, code) => {
    const row = await created();
    const siteId = await seedSite(db, orgId);
    await service.bindSite(admin(), {
      integrationId: row.id,
      vendorOrgId: 'account-1',
      vendorSiteId: 'site-1',
      siteId,
    });
    const binding = await db.read.selectFrom('site_bindings').selectAll().executeTakeFirstOrThrow();
    const before = [await integrations(), await secrets(), binding];
    platform.calls.length = 0;
    const who = principal();
    const bind = { integrationId: row.id, vendorOrgId: 'account-1', vendorSiteId: 'site-9', siteId };
    const payloads = [
      await service.testIntegration(who, input()),
      await service.createIntegration(who, { integration: input(), idempotencyKey: 'k' }),
      await service.updateIntegration(who, { id: row.id, name: 'theirs' }),
      await service.bindSite(who, bind),
      await service.unbindSite(who, { id: binding.id }),
      await service.rotateWebhookSecret(who, { integrationId: row.id }),
    ];
    expect(payloads.map(({ userErrors }) => userErrors.map((error) => error.code))).toEqual(payloads.map(() => [code]));
    const unknown = [
      await service.updateIntegration(who, { id: 'int_none', name: 'theirs' }),
      await service.bindSite(who, { ...bind, integrationId: 'int_none' }),
      await service.unbindSite(who, { id: 'bind_none' }),
      await service.rotateWebhookSecret(who, { integrationId: 'int_none' }),
    ];
    expect(unknown.map(({ userErrors }) => userErrors)).toEqual(payloads.slice(2).map(({ userErrors }) => userErrors));
    expect([
      await integrations(),
      await secrets(),
      await db.read.selectFrom('site_bindings').selectAll().executeTakeFirstOrThrow(),
    ]).toEqual(before);
    expect(platform.calls).toEqual([]);
  });

  describe('createIntegration', () => {
    it('stores the integration, seals its secrets and shows the webhook secret once', async () => {
      const payload = await create('k', { settings: { colour: 'blue', expectedSilenceMs: 60_000 } });
      expect(payload.userErrors).toEqual([]);
      expect(payload.integration).toMatchObject({
        org_id: orgId,
        vendor: 'fake-cloud',
        state: 'PENDING',
        ingest_mode: 'PUSH_WITH_POLL_FALLBACK',
        signature_profile: 'STANDARD_WEBHOOKS',
        tolerance_seconds: 300,
        account_id: 'account-1',
        account_name: 'Account One',
        expected_silence_ms: 60_000,
        version: 1,
      });
      expect(payload.webhookSecretOnce).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      const rows = await secrets();
      expect(
        rows.map(({ purpose, hint }) => [purpose, hint]).toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
      ).toEqual([
        ['credentials', 'apiKey'],
        ['webhook', payload.webhookSecretOnce?.slice(-4)],
      ]);
      const text = JSON.stringify([
        await integrations(),
        rows.map(({ sealed }) => Buffer.from(sealed).toString('latin1')),
      ]);
      expect(text).not.toContain('very secret');
      expect(text).not.toContain(payload.webhookSecretOnce);
      expect(await create()).toMatchObject({
        integration: { id: payload.integration?.id },
        webhookSecretOnce: null,
        userErrors: [],
      });
    });

    it('makes one integration of the same key, at once and from several processes', async () => {
      const other = createIntegrationService({
        ...parts,
        webhookUrl: () => 'https://x.example',
        replay: async () => undefined,
      });
      const payloads = await Promise.all([
        create(),
        create(),
        other.createIntegration(admin(), { integration: input(), idempotencyKey: 'k' }),
      ]);
      expect(new Set(payloads.map(({ integration }) => integration?.id)).size).toBe(1);
      expect(payloads.filter(({ webhookSecretOnce }) => webhookSecretOnce !== null)).toHaveLength(1);
      expect(await integrations()).toHaveLength(1);
      expect(await secrets()).toHaveLength(2);
    });

    it('stores nothing when the test fails', async () => {
      platform.probeReport = {
        ...platform.probeReport,
        checks: [{ id: 'credentials', title: 'Credentials', state: 'FAIL', detail: 'refused' }],
      };
      const payload = await create();
      expect(payload).toMatchObject({
        integration: null,
        webhookSecretOnce: null,
        userErrors: [{ code: 'UNAUTHENTICATED_AT_PLATFORM', path: ['integration', 'credentials'] }],
      });
      expect([await integrations(), await secrets()]).toEqual([[], []]);
    });

    it('registers the webhook where the platform has an API for it', async () => {
      const targets: WebhookTarget[] = [];
      platform.registers = (target) => {
        targets.push(target);
        return { nativeId: 'hook-1', secret: target.secret };
      };
      const { integration, webhookSecretOnce } = await create();
      expect(targets).toEqual([
        {
          url: `https://here.example/webhooks/${integration?.id}`,
          profile: 'STANDARD_WEBHOOKS',
          secret: webhookSecretOnce,
        },
      ]);
      expect(integration?.webhook_native_id).toBe('hook-1');
    });

    it('keeps the secret that the platform makes itself', async () => {
      platform.registers = () => ({ nativeId: 'hook-1', secret: 'whsec_cGxhdGZvcm0gbWFkZSB0aGlzIHNlY3JldA==' });
      const { integration, webhookSecretOnce } = await create();
      expect(webhookSecretOnce).toBe('whsec_cGxhdGZvcm0gbWFkZSB0aGlzIHNlY3JldA==');
      expect(await readWebhookSecret(db, parts.vault, integration?.id ?? '')).toBe(webhookSecretOnce);
      expect(await secrets()).toHaveLength(2);
    });

    it('succeeds although the webhook could not be registered', async () => {
      platform.registers = (target) => ({ nativeId: 'hook-1', secret: target.secret });
      platform.fault = (call) => (call === 'registerWebhook' ? new AdapterError('UNREACHABLE', 'down') : null);
      expect(await create()).toMatchObject({ integration: { webhook_native_id: null }, userErrors: [] });
    });

    it('rings, so that the first sync begins', async () => {
      const rings: string[] = [];
      db.doorbell.on('*', (topic) => void rings.push(topic));
      const { id } = await created();
      expect(rings).toEqual(expect.arrayContaining([`integration:${id}`, `org:${orgId}`]));
    });

    it.each(['', 'x'.repeat(201)])('refuses the key %j', async (key) => {
      expect(await create(key)).toMatchObject({
        integration: null,
        userErrors: [{ code: 'INVALID', path: ['idempotencyKey'] }],
      });
    });
  });

  describe('updateIntegration', () => {
    it('changes name and settings under a new version', async () => {
      const { id } = await created();
      const { integration } = await service.updateIntegration(admin(), {
        id,
        name: 'Renamed',
        settings: { colour: 'green' },
        expectedVersion: 1,
      });
      expect(integration).toMatchObject({ name: 'Renamed', settings: '{"colour":"green"}', version: 2 });
    });

    it('refuses a change of another version', async () => {
      const { id } = await created();
      await service.updateIntegration(admin(), { id, name: 'First' });
      const late = await service.updateIntegration(admin(), { id, name: 'Second', expectedVersion: 1 });
      expect(late).toMatchObject({ integration: null, userErrors: [{ code: 'CONFLICT', path: ['expectedVersion'] }] });
      const both = await Promise.all(
        ['A', 'B'].map((name) => service.updateIntegration(admin(), { id, name, expectedVersion: 2 })),
      );
      expect(both.filter(({ userErrors }) => userErrors.length === 0)).toHaveLength(1);
    });

    it('mends refused credentials after it tried them', async () => {
      const { id } = await created();
      platform.fault = () => new AdapterError('UNAUTHENTICATED', 'refused');
      await createSyncEngine(parts).run({ integrationId: id, trigger: 'SCHEDULE' });
      const stored = (await secrets()).find(({ purpose }) => purpose === 'credentials');
      const still = await service.updateIntegration(admin(), { id, credentials: { apiKey: 'worse' } });
      expect(still).toMatchObject({ integration: null, userErrors: [{ code: 'UNAUTHENTICATED_AT_PLATFORM' }] });
      expect((await secrets()).find(({ purpose }) => purpose === 'credentials')).toEqual(stored);
      platform.fault = () => null;
      const { integration } = await service.updateIntegration(admin(), { id, credentials: { apiKey: 'better' } });
      expect(integration).toMatchObject({ state: 'CONNECTED', error_code: null, version: 2 });
      const open = await parts.runtime.use(id, ({ integration: row }) => Promise.resolve(row.version));
      expect(open).toBe(2);
      expect((await secrets()).filter(({ purpose }) => purpose === 'credentials')).toHaveLength(1);
    });

    it('switches off and on, with an event each way that matters', async () => {
      const { id } = await created();
      expect((await service.updateIntegration(admin(), { id, enabled: false })).integration?.state).toBe('DISABLED');
      expect((await service.updateIntegration(admin(), { id, enabled: true })).integration?.state).toBe('PENDING');
      const events = await db.read.selectFrom('events').select(['type', 'origin']).execute();
      expect(events).toEqual([{ type: 'system.integration_disabled', origin: 'OPERATOR' }]);
    });
  });

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

  it('leaves integrations of vendors that are not deployed alone', async () => {
    const id = await seedIntegration(db, orgId, { settings: '{}' });
    await db.write((tx) => tx.updateTable('integrations').set({ vendor: 'gone' }).execute());
    expect(await service.updateIntegration(admin(), { id, name: 'x' })).toMatchObject({
      userErrors: [{ code: 'NOT_SUPPORTED' }],
    });
    await expect(service.vendorSites(admin(), id)).rejects.toMatchObject({ extensions: { code: 'PLATFORM_REFUSED' } });
  });
});
