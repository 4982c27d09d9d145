import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import { createDeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import { createInboxWriter } from '../../pipeline/inbox/inbox-writer.ts';
import { createIntake } from '../../pipeline/intake/intake.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { NOON, quiet, seed, signed, testVault, until } from '../../pipeline/testing.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { onPrem } from './index.ts';
import { startSimulator } from './simulator.ts';

const DEVICE = {
  id: 'abc-123',
  name: 'Main Lobby Camera',
  type: 'camera',
  customer_id: 'cust-001',
  status: 'online',
  mac_address: '00:1B:44:11:3A:B7',
  ip: '192.168.1.10',
};

function list(devices: readonly unknown[], id: string, part = 1, parts = 1) {
  return { list: { id, part, parts }, devices };
}

eachEngine('on-prem push', (open) => {
  async function start(customers: readonly string[] = ['cust-001'], settings: object = {}) {
    const db = await open();
    const { integration, siteId } = await seed(db, { devices: [], bound: false });
    await db.write((tx) =>
      tx
        .updateTable('integrations')
        .set({ vendor: 'on-prem', settings: JSON.stringify(settings) })
        .execute(),
    );
    const bind = (customer: string) =>
      db.write((tx) =>
        tx
          .insertInto('site_bindings')
          .values({
            id: `bind_${customer}`,
            org_id: integration.org_id,
            integration_id: integration.id,
            vendor_org_id: '',
            vendor_site_id: customer,
            vendor_site_name: null,
            site_id: siteId,
            created_at: NOON,
          })
          .execute(),
      );
    for (const customer of customers) await bind(customer);
    const clock = { now: NOON };
    const inbox = createInboxWriter({ db, logger: quiet });
    const intake = createIntake({
      db,
      vault: testVault,
      inbox,
      logger: quiet,
      now: () => clock.now,
      gzipVendors: new Set(['on-prem']),
    });
    const replays: Promise<unknown>[] = [];
    const processor = createProcessor({
      db,
      vendors: [onPrem],
      logger: quiet,
      now: () => clock.now,
      onDevicesAdded: (id) => replays.push(deadLetters.replay(id, { stages: ['MAPPING'] })),
    });
    const deadLetters = createDeadLetters({ db, processor });
    const server = createServer((req, res) => void intake.handle(req, res, integration.id));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(async () => {
      server.close();
      server.closeAllConnections();
      await intake.close();
      await processor.stop();
      await inbox.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

    async function push(body: unknown, headers: Record<string, string> = {}, bytes?: Buffer) {
      clock.now += 1_000;
      const content = bytes ?? Buffer.from(JSON.stringify(body));
      const answer = await fetch(url, {
        method: 'POST',
        headers: { ...signed(content, clock.now), ...headers },
        body: new Uint8Array(content),
      });
      await answer.body?.cancel();
      await processor.process(integration.id);
      await Promise.all(replays.splice(0));
      return answer.status;
    }
    return {
      db,
      clock,
      url,
      integration,
      siteId,
      processor,
      deadLetters,
      bind,
      push,
      gone: async () =>
        (await db.read.selectFrom('devices').select('native_id').where('removed_at', 'is not', null).execute()).map(
          ({ native_id: id }) => id,
        ),
      devices: () => db.read.selectFrom('devices').selectAll().orderBy('native_id').execute(),
      events: () => db.read.selectFrom('events').selectAll().orderBy('seq').execute(),
      runs: () => db.read.selectFrom('sync_runs').selectAll().orderBy('started_at').orderBy('id').execute(),
      letters: () => db.read.selectFrom('inbox').selectAll().where('status', '=', 'DEAD').orderBy('id').execute(),
    };
  }

  it('takes the list in exactly the shape of the contract, and equals it in the graph', async () => {
    const { push, devices, runs, siteId, integration, db } = await start();
    expect(await push({ devices: [DEVICE] })).toBe(202);
    expect(await devices()).toMatchObject([
      {
        id: deviceId(integration.id, 'abc-123'),
        name: 'Main Lobby Camera',
        type: 'CAMERA',
        vendor_type: 'camera',
        site_id: siteId,
        state: 'ONLINE',
        state_vendor: 'online',
        mac_addresses: '["00:1b:44:11:3a:b7"]',
        ip: '192.168.1.10',
      },
    ]);
    expect(await runs()).toMatchObject([{ state: 'PARTIAL', trigger: 'EXTERNAL', listed: 1, added: 1 }]);
    const row = await db.read.selectFrom('integrations').selectAll().executeTakeFirstOrThrow();
    expect(row).toMatchObject({ state: 'CONNECTED', last_sync_state: 'PARTIAL' });
  });

  it('takes the minimal event, also before the list that brings its device', async () => {
    const { push, devices, events, letters } = await start();
    const event = { device_id: 'abc-123', status: 'offline', timestamp: new Date(NOON).toISOString() };
    await push(event);
    expect(await letters()).toMatchObject([{ stage: 'MAPPING' }]);
    await push({ devices: [{ ...DEVICE, status: undefined }] });
    expect(await letters()).toEqual([]);
    expect(await devices()).toMatchObject([{ state: 'OFFLINE' }]);
    expect((await events()).filter(({ family }) => family === 'HEALTH')).toMatchObject([
      { type: 'health.offline', vendor_code: 'offline', occurred_at: NOON },
    ]);
  });

  it('sets aside what maps to no customer of ours, takes the rest, and all of it after the binding', async () => {
    const { push, devices, letters, bind, deadLetters, integration } = await start();
    await push(list([DEVICE, { ...DEVICE, id: 'd-2', customer_id: 'cust-404' }, { id: 'd-3', name: 'x' }], 'l1'));
    expect((await devices()).map(({ native_id: id }) => id)).toEqual(['abc-123']);
    expect(await letters()).toMatchObject([
      { stage: 'BINDING', reason: '1 of 3 devices: device "d-2": vendor site "cust-404" is not bound to a site' },
    ]);
    await bind('cust-404');
    await deadLetters.replay(integration.id, { stages: ['BINDING'] });
    expect((await devices()).map(({ native_id: id }) => id)).toEqual(['abc-123', 'd-2']);
    expect(await letters()).toMatchObject([
      { stage: 'SCHEMA', reason: '1 of 3 devices: device "d-3": it names no customer_id' },
    ]);
  });

  it('removes only what two complete lists in a row are without; parts are complete when all are there', async () => {
    const { push, gone, runs } = await start();
    const other = { ...DEVICE, id: 'd-2' };
    await push(list([DEVICE, other], 'l1'));
    await push({ devices: [DEVICE], sent_at: 1 });
    await push({ devices: [DEVICE], sent_at: 2 });
    await push({ devices: [DEVICE], sent_at: 3 });
    await push(list([DEVICE], 'l2', 2, 3));
    await push(list([DEVICE], 'l3'));
    expect(await gone()).toEqual([]);
    // The second one only now, in disorder, and once twice.
    await push(list([{ ...DEVICE, id: 'd-9' }], 'l4', 2, 2));
    await push({ ...list([{ ...DEVICE, id: 'd-9' }], 'l4', 2, 2), again: true });
    expect(await gone()).toEqual([]);
    await push(list([DEVICE], 'l4', 1, 2));
    expect(await gone()).toEqual(['d-2']);
    expect((await runs()).at(-1)).toMatchObject({ state: 'SUCCEEDED', removed: 1 });
  });

  it('removes nothing for an empty list, nor for one with a device that cannot be read', async () => {
    const { push, gone, runs } = await start();
    await push(list([DEVICE, { ...DEVICE, id: 'd-2' }], 'l1'));
    for (const id of ['l2', 'l3', 'l4']) await push(list([DEVICE, { id: '', name: 'x' }], id));
    for (const id of ['l5', 'l6', 'l7']) await push(list([], id));
    expect(await gone()).toEqual([]);
    expect((await runs()).at(-1)).toMatchObject({ state: 'FAILED' });
  });

  it('changes nothing when a delivery is repeated or replayed', async () => {
    const { db, push, events } = await start();
    const body = list([DEVICE], 'l1');
    expect(await push(body)).toBe(202);
    const before = await events();
    expect(await push(body)).toBe(200);
    expect(await push({ ...body, sent_at: 7 })).toBe(202);
    expect(await events()).toEqual(before);
    expect(await db.read.selectFrom('inventory_changes').selectAll().execute()).toHaveLength(1);
  });

  it('takes compressed bodies, signed as sent, and no bombs', async () => {
    const { push, devices } = await start();
    const gzip = { 'content-encoding': 'gzip' };
    const good = gzipSync(JSON.stringify({ devices: [DEVICE] }));
    expect(await push(null, { ...gzip, 'x-webhook-signature': 'sha256=00' }, good)).toBe(401);
    expect(await push(null, gzip, gzipSync(Buffer.alloc(5 * 1_024 * 1_024, ' ')))).toBe(413);
    expect(await push(null, gzip, Buffer.from('{"devices":[]}'))).toBe(400);
    expect(await push(null, { 'content-encoding': 'br' }, good)).toBe(415);
    expect(await devices()).toEqual([]);
    expect(await push(null, gzip, good)).toBe(202);
    expect(await devices()).toHaveLength(1);
  });

  it('takes a heartbeat as a sign of life of the adapter, and of nothing else', async () => {
    const { push, db, clock, letters, events } = await start();
    expect(await push({ heartbeat: { sent_at: new Date(NOON).toISOString(), interval_seconds: 60 } })).toBe(202);
    const row = await db.read.selectFrom('integrations').selectAll().executeTakeFirstOrThrow();
    expect(row.last_webhook_at).toBe(clock.now);
    expect(await letters()).toEqual([]);
    expect(await events()).toEqual([]);
    expect(await push({ heartbeat: 'now' })).toBe(202);
    expect(await letters()).toMatchObject([{ stage: 'SCHEMA' }]);
  });

  it('keeps ids over a new name and a new address', async () => {
    const { push, devices, integration } = await start();
    await push({ devices: [DEVICE] });
    await push({ devices: [{ ...DEVICE, name: 'Renamed', ip: '10.1.1.1' }] });
    expect(await devices()).toMatchObject([
      { id: deviceId(integration.id, 'abc-123'), name: 'Renamed', ip: '10.1.1.1' },
    ]);
  });

  it('goes the whole way from an adapter on site, through an outage of its line', async () => {
    const { url, db, devices, processor, clock, events } = await start(['cust-07-001', 'cust-07-002']);
    clock.now = Date.now();
    const site = { address: '1 Main Street', timezone: 'Europe/London' };
    const simulator = await startSimulator({
      seed: 7,
      accountId: 'account',
      accountName: 'Acme',
      sites: [
        { name: 'North', ...site },
        { name: 'South', ...site },
      ],
      devices: 450,
      port: 0,
      stateFile: null,
      now: () => new Date(),
    });
    onTestFinished(() => simulator.close());
    expect(simulator.sites().map(({ nativeId }) => nativeId)).toEqual(['cust-07-001', 'cust-07-002']);
    processor.start();
    const secret = 'a webhook secret of decent length';
    simulator.connectWebhook({ url, profile: 'CONTRACT_V1', secret });
    await until(async () => (await devices()).length === 450);
    expect((await devices()).every(({ site_id: id }) => id !== null)).toBe(true);

    const [first, second] = simulator.devices();
    if (first === undefined || second === undefined) throw new Error('the site has no devices');
    await fetch(new URL('/_sim/outage', simulator.url), { method: 'POST', body: JSON.stringify({ seconds: 3_600 }) });
    simulator.setState(first.nativeId, 'offline');
    simulator.setState(second.nativeId, 'offline');
    simulator.setState(second.nativeId, 'online');
    await fetch(new URL('/_sim/outage', simulator.url), { method: 'POST', body: JSON.stringify({ seconds: 0 }) });
    await until(async () => (await events()).filter(({ family }) => family === 'HEALTH').length === 3);
    const state = async (id: string) =>
      (await db.read.selectFrom('devices').select('state').where('native_id', '=', id).executeTakeFirstOrThrow()).state;
    expect([await state(first.nativeId), await state(second.nativeId)]).toEqual(['OFFLINE', 'ONLINE']);
  });
});
