import { beforeEach, describe, expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { WebhookTarget } from '../../adapter-kit/adapter.ts';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createSyncEngine } from '../sync/engine.ts';
import type { IntegrationInput } from './payloads.ts';
import { createIntegrationService, type IntegrationService } from './service.ts';
import { createParts, FakePlatform, principalOf, seedIntegration, seedOrg, seedSite } from './testing.ts';
import { readWebhookSecret } from './webhook-secrets.ts';

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

  it('leaves integrations of vendors that are not deployed alone', async () => {
    const id = await seedIntegration(db, orgId, { settings: '{}' });
    await db.write((tx) => tx.updateTable('integrations').set({ vendor: 'gone' }).execute());
    expect(await service.updateIntegration(admin(), { id, name: 'x' })).toMatchObject({
      userErrors: [{ code: 'NOT_SUPPORTED' }],
    });
    await expect(service.vendorSites(admin(), id)).rejects.toMatchObject({ extensions: { code: 'PLATFORM_REFUSED' } });
  });
});
