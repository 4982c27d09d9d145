import { beforeEach, expect, it } from 'vitest';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createParts, device, FakePlatform, principalOf, seedIntegration, seedOrg } from '../integrations/testing.ts';
import { createSyncEngine, type SyncEngine } from './engine.ts';
import { createSyncService, type SyncService } from './service.ts';

eachEngine('sync service', (open) => {
  let db: Database;
  let platform: FakePlatform;
  let engine: SyncEngine;
  let service: SyncService;
  let orgId: string;
  let id: string;

  beforeEach(async () => {
    db = await open();
    platform = new FakePlatform();
    platform.devices = [device('a')];
    engine = createSyncEngine(createParts(db, platform));
    service = createSyncService({ db, engine });
    orgId = await seedOrg(db);
    id = await seedIntegration(db, orgId);
  });

  const ask = (changes: { readonly integrationId?: string; readonly idempotencyKey?: string } = {}) =>
    service.syncIntegration(principalOf([orgId]), { integrationId: id, idempotencyKey: 'k', ...changes });

  it('answers with the run while it runs, and with the same run for the same key', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    platform.gate = () => promise;
    const first = await ask();
    expect(first).toMatchObject({ run: { state: 'RUNNING', trigger: 'MANUAL' }, userErrors: [] });
    resolve();
    await (await engine.start({ integrationId: id, trigger: 'MANUAL', idempotencyKey: 'k' })).done;
    expect((await ask()).run).toMatchObject({ id: first.run?.id, state: 'SUCCEEDED' });
  });

  it('keeps the trigger of another system', async () => {
    const input = { integrationId: id, idempotencyKey: 'k' };
    expect(await service.syncIntegration(principalOf([orgId]), input, 'EXTERNAL')).toMatchObject({
      run: { trigger: 'EXTERNAL' },
    });
    await engine.close();
  });

  it.each([
    ['without the scope', () => principalOf([orgId], { scopes: new Set(['inventory:read']) }), 'FORBIDDEN'],
    ['limited to sites', () => principalOf([orgId], { access: { orgIds: [orgId], siteIds: ['site_1'] } }), 'FORBIDDEN'],
    ['of another org', () => principalOf(['org_other']), 'NOT_FOUND'],
  ])('starts nothing for a principal %s', async (_, principal, code) => {
    const answers = await Promise.all(
      [id, 'int_none'].map((integrationId) =>
        service.syncIntegration(principal(), { integrationId, idempotencyKey: 'k' }),
      ),
    );
    expect(answers[0]).toMatchObject({ run: null, userErrors: [{ code }] });
    expect(answers[1]).toEqual(answers[0]);
    expect(platform.calls).toEqual([]);
  });

  it.each(['', 'x'.repeat(201), 'n\0ul'])('refuses the key %j', async (idempotencyKey) => {
    expect(await ask({ idempotencyKey })).toMatchObject({
      userErrors: [{ code: 'INVALID', path: ['idempotencyKey'] }],
    });
  });

  it('says that an integration is switched off', async () => {
    await db.write((tx) => tx.updateTable('integrations').set({ enabled: 0 }).execute());
    expect(await ask()).toMatchObject({ run: null, userErrors: [{ code: 'CONFLICT', path: ['integrationId'] }] });
  });

  it('lets a person try refused credentials again, and not a program', async () => {
    await db.write((tx) =>
      tx.updateTable('integrations').set({ state: 'REAUTH_REQUIRED', error_code: 'UNAUTHENTICATED' }).execute(),
    );
    const input = { integrationId: id, idempotencyKey: 'k' };
    const external = await service.syncIntegration(principalOf([orgId]), input, 'EXTERNAL');
    expect(external).toMatchObject({ run: null, userErrors: [{ code: 'UNAUTHENTICATED_AT_PLATFORM' }] });
    const { run } = await ask();
    expect(run).not.toBeNull();
    await (await engine.start({ integrationId: id, trigger: 'MANUAL', idempotencyKey: 'k' })).done;
    const row = await db.read.selectFrom('integrations').select('state').executeTakeFirstOrThrow();
    expect(row.state).toBe('CONNECTED');
  });
});
