import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { createInboxWriter } from '../../pipeline/inbox/inbox-writer.ts';
import { createIntake } from '../../pipeline/intake/intake.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { quiet, SECRET, seed, testVault, until } from '../../pipeline/testing.ts';
import { eachEngine, type OpenTestDatabase } from '../../storage/testing.ts';
import { control, simulate } from './fixtures/rig.ts';
import { reconeyez } from './index.ts';

/** The front door for deliveries of a simulated tenant, down to the log. */
async function start(open: OpenTestDatabase) {
  const db = await open();
  const simulator = await simulate({ devices: 12 });
  const ids = simulator.devices().map(({ nativeId }) => nativeId);
  const seeded = await seed(db, { profile: 'PATH_SECRET', devices: ids });
  await db.write((tx) => tx.updateTable('integrations').set({ vendor: 'reconeyez' }).execute());
  const inbox = createInboxWriter({ db, logger: quiet });
  const intake = createIntake({ db, vault: testVault, inbox, logger: quiet });
  const processor = createProcessor({ db, vendors: [reconeyez], logger: quiet });
  processor.start();
  const server = createServer((request, response) => {
    const [, , id = '', rest = ''] = (request.url ?? '').split('/');
    void intake.handle(request, response, id, decodeURIComponent(rest));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    await simulator.close();
    server.close();
    server.closeAllConnections();
    await processor.stop();
    await intake.close();
    await inbox.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/webhooks/${seeded.integration.id}`;
  const stateOf = async (nativeId: string) => {
    const columns = ['state', 'state_reason', 'state_vendor', 'telemetry'] as const;
    const found = db.read.selectFrom('devices').select(columns).where('id', '=', seeded.device(nativeId));
    return found.executeTakeFirstOrThrow();
  };
  const events = () => db.read.selectFrom('events').selectAll().orderBy('seq').execute();
  return { db, simulator, ids, siteId: seeded.siteId, url, stateOf, events };
}

eachEngine('deliveries with a secret in the path', (open) => {
  it('become events and states of their devices, each once', async () => {
    const { simulator, ids, siteId, url, stateOf, events } = await start(open);
    await control(simulator, 'faults', { duplicateRate: 1, withoutIds: true });
    simulator.connectWebhook({ url, profile: 'PATH_SECRET', secret: SECRET });
    const [first = '', second = ''] = ids;
    simulator.setState(first, 'offline');
    await control(simulator, 'events', { nativeId: second, event: 'PersonDetected', detections: ['person'] });
    await until(async () => (await stateOf(second)).state === 'ONLINE' && (await stateOf(first)).state === 'OFFLINE');
    expect(await stateOf(first)).toMatchObject({ state_reason: 'NETWORK', state_vendor: 'ConnectionLost' });
    expect(JSON.parse((await stateOf(second)).telemetry ?? '{}')).toMatchObject({ signalUnit: 'dBm' });
    const ofSecond = (await events()).filter(({ vendor_code }) => vendor_code === 'BA/PersonDetected');
    expect(ofSecond).toHaveLength(1);
    expect(ofSecond[0]).toMatchObject({ type: 'alarm.intrusion', site_id: siteId, changed: 1 });
  });

  it('keep a device degraded through what it says, until its battery is good again', async () => {
    const { simulator, ids, url, stateOf, events } = await start(open);
    simulator.connectWebhook({ url, profile: 'PATH_SECRET', secret: SECRET });
    const [nativeId = ''] = ids;
    // Beside them every device makes its routine check, whenever it likes.
    const tell = (event: string) => control(simulator, 'events', { nativeId, event, id: `told-${event}` });
    for (const event of ['BatteryLow', 'PersonDetected', 'RoutineCheck']) await tell(event);
    const told = async () => (await events()).filter(({ vendor_event_id }) => vendor_event_id?.startsWith('told-'));
    await until(async () => (await told()).length === 3);
    expect((await told()).map(({ changed }) => changed)).toEqual([1, 0, 0]);
    expect(await stateOf(nativeId)).toMatchObject({ state: 'DEGRADED', state_reason: 'POWER' });
    await tell('BatteryRestored');
    await until(async () => (await stateOf(nativeId)).state === 'ONLINE');
  });

  it('are refused with another secret, and nothing of them is understood', async () => {
    const { db, simulator, ids, url, stateOf, events } = await start(open);
    await control(simulator, 'faults', { attempts: 1 });
    simulator.connectWebhook({ url, profile: 'PATH_SECRET', secret: `${SECRET}x` });
    simulator.setState(ids[0] ?? '', 'offline');
    await until(async () => Object((await control(simulator, 'webhooks')).body).lost > 0);
    expect(await events()).toEqual([]);
    expect(await stateOf(ids[0] ?? '')).toMatchObject({ state: 'UNKNOWN' });
    const pending = await db.read.selectFrom('inbox').select('id').where('status', '=', 'PENDING').execute();
    expect(pending).toEqual([]);
  });
});
