import { expect, it } from 'vitest';
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
} from '../integrations/testing.ts';
import { createSyncEngine } from './engine.ts';

const CAMERA = { relation: 'WATCHED_BY', integrationId: null, namespace: null, value: 'cam-1' } as const;

eachEngine('links of listed devices', (open) => {
  async function start() {
    const db = await open();
    const platform = new FakePlatform();
    const engine = createSyncEngine(createParts(db, platform));
    const orgId = await seedOrg(db);
    const id = await seedIntegration(db, orgId);
    await seedBinding(db, { orgId, integrationId: id, siteId: await seedSite(db, orgId) });
    return {
      platform,
      id,
      sync: async () => (await engine.run({ integrationId: id, trigger: 'SCHEDULE' })).run,
      links: async () =>
        (await db.read.selectFrom('device_links').selectAll().orderBy('value').execute()).map(
          ({ device_id, relation, value }) => `${device_id} ${relation} ${value}`,
        ),
      devices: () => db.read.selectFrom('devices').select(['id', 'name', 'ip', 'native_id']).execute(),
    };
  }

  it('follow the listing: added, changed, dropped', async () => {
    const { platform, id, sync, links } = await start();
    const own = deviceId(id, 'leak-1');
    platform.devices = [device('leak-1', { links: [CAMERA, CAMERA, { ...CAMERA, value: ' ' }] }), device('cam-1')];
    await sync();
    expect(await links()).toEqual([`${own} WATCHED_BY cam-1`]);
    platform.devices = [device('leak-1', { links: [CAMERA, { ...CAMERA, value: 'cam-2' }] }), device('cam-1')];
    expect(await sync()).toMatchObject({ added: 0, updated: 0 });
    expect(await links()).toEqual([`${own} WATCHED_BY cam-1`, `${own} WATCHED_BY cam-2`]);
    platform.devices = [device('leak-1'), device('cam-1')];
    await sync();
    expect(await links()).toEqual([]);
  });

  it('and ids outlive a new name and a new address', async () => {
    const { platform, id, sync, links, devices } = await start();
    platform.devices = [device('leak-1', { ip: '10.0.0.1', links: [CAMERA] })];
    await sync();
    platform.devices = [device('leak-1', { name: 'Cellar', ip: '10.9.9.9', links: [CAMERA] })];
    expect(await sync()).toMatchObject({ added: 0, updated: 1, removed: 0 });
    expect(await devices()).toEqual([
      { id: deviceId(id, 'leak-1'), name: 'Cellar', ip: '10.9.9.9', native_id: 'leak-1' },
    ]);
    expect(await links()).toEqual([`${deviceId(id, 'leak-1')} WATCHED_BY cam-1`]);
  });
});
