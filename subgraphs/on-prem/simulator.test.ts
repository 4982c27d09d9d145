import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import type { SimulatorOptions } from '../../adapter-kit/simulator.ts';
import { startSimulator } from './simulator.ts';

const SECRET = 'a webhook secret of decent length';

interface Received {
  readonly devices?: { readonly id: string }[];
  readonly list?: { readonly part: number; readonly parts: number };
  readonly device_id?: string;
  readonly status?: string;
}

/** Takes what is authentic. */
async function startReceiver() {
  const taken: Received[] = [];
  let waiting: { readonly count: number; readonly resolve: () => void } | null = null;
  const server = createServer((req, res) => {
    void buffer(req).then((body) => {
      const seconds = String(req.headers['x-webhook-timestamp']);
      const mac = createHmac('sha256', SECRET).update(`${seconds}.`).update(body).digest('hex');
      const isGood = req.headers['x-webhook-signature'] === `sha256=${mac}`;
      if (isGood) {
        const text = req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
        taken.push(JSON.parse(text.toString()));
      }
      res.writeHead(isGood ? 202 : 401).end();
      if (waiting !== null && taken.length >= waiting.count) waiting.resolve();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    taken,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async has(count: number) {
      if (taken.length >= count) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting = { count, resolve };
      await promise;
    },
  };
}

function options(stateFile: string | null = null): SimulatorOptions {
  return {
    seed: 7,
    accountId: 'account',
    accountName: 'Acme',
    sites: [{ name: 'North', address: '1 Main Street', timezone: 'Europe/London' }],
    devices: 450,
    port: 0,
    stateFile,
    now: () => new Date(),
  };
}

it('pushes its whole list in parts, compressed and signed, then what happens', async () => {
  const receiver = await startReceiver();
  const simulator = await startSimulator(options());
  onTestFinished(() => simulator.close());
  simulator.connectWebhook({ url: receiver.url, profile: 'TIMESTAMPED_HMAC', secret: SECRET });
  await receiver.has(3);
  expect(receiver.taken.map(({ list }) => `${list?.part}/${list?.parts}`)).toEqual(['1/3', '2/3', '3/3']);
  const ids = receiver.taken.flatMap(({ devices }) => (devices ?? []).map(({ id }) => id));
  expect(ids).toEqual(simulator.devices().map(({ nativeId }) => nativeId));
  const [first] = ids;
  simulator.setState(first ?? '', 'offline');
  await receiver.has(4);
  expect(receiver.taken[3]).toMatchObject({ device_id: first, status: 'offline' });
  expect(Object.keys(receiver.taken[3] ?? {})).toEqual(['device_id', 'status', 'timestamp']);
});

it('goes on after a restart: with the same address, states, and what nobody had taken', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-on-prem-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const receiver = await startReceiver();
  const before = await startSimulator(options(join(dir, 'site.json')));
  before.connectWebhook({ url: receiver.url, profile: 'timestamped-hmac', secret: SECRET });
  await receiver.has(3);
  await fetch(new URL('/_sim/outage', before.url), { method: 'POST', body: JSON.stringify({ seconds: 600 }) });
  const [first] = before.devices();
  before.setState(first?.nativeId ?? '', 'offline');
  await before.close();
  expect(receiver.taken).toHaveLength(3);

  const after = await startSimulator(options(join(dir, 'site.json')));
  onTestFinished(() => after.close());
  await receiver.has(4);
  expect(receiver.taken[3]).toMatchObject({ device_id: first?.nativeId, status: 'offline' });
  expect(after.devices().find(({ nativeId }) => nativeId === first?.nativeId)?.state).toBe('offline');
});

it('is the same for the same seed', async () => {
  const [one, other] = await Promise.all([startSimulator(options()), startSimulator(options())]);
  onTestFinished(async () => {
    await one.close();
    await other.close();
  });
  expect(one.devices()).toEqual(other.devices());
  expect(one.sites()).toEqual(other.sites());
});
