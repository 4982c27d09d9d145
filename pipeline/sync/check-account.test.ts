import { expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import {
  createParts,
  device,
  FakePlatform,
  seedBinding,
  seedIntegration,
  seedOrg,
  seedSite,
} from '../integrations/testing.ts';
import { createSyncEngine } from './engine.ts';

async function start(db: Database) {
  const platform = new FakePlatform();
  const parts = createParts(db, platform);
  const engine = createSyncEngine(parts);
  const orgId = await seedOrg(db);
  const id = await seedIntegration(db, orgId);
  await seedBinding(db, { orgId, integrationId: id, siteId: await seedSite(db, orgId) });
  return {
    platform,
    id,
    sync: async () => (await engine.run({ integrationId: id, trigger: 'SCHEDULE' })).run,
    integration: () => db.read.selectFrom('integrations').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
    devices: async () => {
      const rows = await db.read.selectFrom('devices').select(['native_id', 'removed_at', 'missed_syncs']).execute();
      return rows.filter(({ removed_at: removedAt }) => removedAt === null).map(({ native_id: nativeId }) => nativeId);
    },
    told: () =>
      db.read
        .selectFrom('events')
        .select(['type', 'summary', 'details'])
        .where('type', '=', 'system.account_changed')
        .execute(),
  };
}

eachEngine('vendor account of an integration', (open) => {
  it('is noted by the first sync that is told it', async () => {
    const db = await open();
    const { platform, sync, integration } = await start(db);
    await db.write((tx) => tx.updateTable('integrations').set({ account_id: null, account_name: null }).execute());
    expect((await sync()).state).toBe('SUCCEEDED');
    expect(await integration()).toMatchObject({ account_id: null });
    platform.account = { id: 'account-1', name: 'One' };
    await sync();
    expect(await integration()).toMatchObject({ account_id: 'account-1', account_name: 'One' });
  });

  it('that is another one behind the same credentials is told once, read from no further, and costs no device', async () => {
    const db = await open();
    const { platform, sync, integration, devices, told } = await start(db);
    platform.account = { id: 'account-1', name: null };
    platform.devices = [device('a'), device('b')];
    await db.write((tx) => tx.updateTable('integrations').set({ account_id: 'account-1' }).execute());
    expect((await sync()).state).toBe('SUCCEEDED');

    platform.account = { id: 'account-2', name: null };
    platform.devices = [device('theirs')];
    for (let run = 0; run < 3; run += 1) expect((await sync()).state).toBe('FAILED');
    expect((await devices()).toSorted()).toEqual(['a', 'b']);
    expect(await integration()).toMatchObject({
      state: 'DEGRADED',
      error_message:
        'The credentials show account "account-2" and were connected for "account-1"; nothing was read and nothing removed',
    });
    expect(await told()).toMatchObject([
      { details: '{"detail":{"accountId":"account-2","previousAccountId":"account-1"}}' },
    ]);

    platform.account = { id: 'account-1', name: null };
    platform.devices = [device('a'), device('b')];
    expect((await sync()).state).toBe('SUCCEEDED');
    expect(await integration()).toMatchObject({ state: 'CONNECTED', error_message: null });
  });

  it('that cannot be asked for just now stops nothing', async () => {
    const db = await open();
    const { platform, sync } = await start(db);
    await db.write((tx) => tx.updateTable('integrations').set({ account_id: 'account-1' }).execute());
    platform.devices = [device('a')];
    platform.fault = (call) => (call === 'readAccount' ? new AdapterError('NOT_FOUND', 'no such path') : null);
    expect((await sync()).state).toBe('SUCCEEDED');
  });
});
