import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Manifest } from '../../storage/backup/manifest.ts';
import { deliver, eventually, healthEvent, query, SimulatedDevices, watch } from '../e2e/rig.ts';
import { type SandboxProcess, sandboxFolder, startSandboxProcess } from './sandbox-process.ts';

// The drill that an operator should have done once: a backup while the product works, a machine that is gone, another one.

const root = resolve(import.meta.dirname, '../..');
const [old, fresh] = [sandboxFolder(), sandboxFolder()];
const backup = join(old.dir, 'backups', 'night.db');
let product: SandboxProcess;

beforeAll(async () => {
  product = await startSandboxProcess(old.dir);
});

afterAll(async () => {
  await product?.kill();
  old.remove();
  fresh.remove();
});

/** One of the operator's commands, as npm would run it. */
async function run(name: 'backup' | 'restore' | 'verify', dataDir: string, ...args: readonly string[]) {
  const child = spawn(process.execPath, [join(root, 'operate', `${name}.ts`), ...args], {
    env: { PATH: process.env['PATH'], DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const status = await new Promise((done) => child.once('close', done));
  return { status, output };
}

describe('backup and restore', () => {
  it('bring the product back on another machine, with all that was acknowledged before', async () => {
    const [integration] = product.credentials.integrations;
    if (integration === undefined) throw new Error('no integration');
    const devices = SimulatedDevices.parse(await (await fetch(`${integration.simulatorUrl}/_sim/devices`)).json());
    const [device] = devices;
    if (device === undefined) throw new Error('no device');
    const send = async (): Promise<string> => {
      const id = randomUUID();
      expect((await deliver(integration, healthEvent(device, 'online', new Date(), id))).status).toBe(202);
      return id;
    };
    const before = await Promise.all(Array.from({ length: 60 }, send));

    // Deliveries come in all the while.
    let isOver = false;
    const during: string[] = [];
    const sending = (async () => {
      while (!isOver) during.push(await send());
    })();
    const dataDir = join(old.dir, '.sandbox', 'data');
    const made = await run('backup', dataDir, backup);
    isOver = true;
    await sending;
    expect(made).toMatchObject({ status: 0, output: expect.stringContaining('Keep the master key') });
    expect(during.length).toBeGreaterThan(5);
    expect(await run('verify', dataDir, backup)).toMatchObject({
      status: 0,
      output: expect.stringMatching(/\nwhole\n$/),
    });
    const manifest = Manifest.parse(JSON.parse(readFileSync(`${backup}.manifest.json`, 'utf8')));

    const after = await send();
    const cursor = await eventually(async () => {
      const { data } = await query(
        product,
        '{ events(first: 1) { nodes { vendorEventId } pageInfo { startCursor } } }',
      );
      return data.events.nodes[0]?.vendorEventId === after ? data.events.pageInfo.startCursor : undefined;
    }, 'the last event is in the log');
    const port = product.port;
    await product.kill();

    // The other machine has what is not in the database: the settings, and the master key.
    const freshData = join(fresh.dir, '.sandbox', 'data');
    cpSync(join(old.dir, '.sandbox'), join(fresh.dir, '.sandbox'), { recursive: true });
    rmSync(freshData, { recursive: true });
    const keyless = await run('restore', freshData, backup);
    expect(keyless).toMatchObject({ status: 1, output: expect.stringContaining('no master key here') });
    cpSync(dataDir, freshData, { recursive: true, filter: (name) => !name.includes('.db') });
    expect(await run('restore', freshData, backup)).toMatchObject({
      status: 0,
      output: expect.stringContaining(`log up to ${manifest.head}`),
    });
    expect(await run('restore', freshData, backup)).toMatchObject({
      status: 1,
      output: expect.stringContaining('--force'),
    });

    product = await startSandboxProcess(fresh.dir, port);
    expect(await run('restore', freshData, backup, '--force')).toMatchObject({
      status: 1,
      output: expect.stringContaining('stop the product first'),
    });
    // What was acknowledged and not yet processed then is processed here.
    const ids = await eventually(async () => {
      const { data } = await query(
        product,
        '{ devices(first: 1) { totalCount } events(first: 500) { nodes { vendorEventId } } }',
      );
      expect(data.devices.totalCount).toBe(manifest.counts['devices']);
      // What the product says of itself has no number of a vendor.
      const found = data.events.nodes.flatMap((node: { vendorEventId: string | null }) => node.vendorEventId ?? []);
      return before.every((id) => found.includes(id)) ? found : undefined;
    }, 'all that was acknowledged before the backup is in the log');
    expect(new Set(ids).size).toBe(ids.length);

    // A webhook of today is taken, which needs the secret that was sealed then.
    const now = await send();
    const feed = watch(
      product,
      'subscription($after: String) { events(after: $after) { __typename ... on StreamGap { reason } ... on EventDelivered { event { vendorEventId } } } }',
      { after: cursor },
    );
    try {
      const item = await eventually(() => feed.items[0] ?? feed.errors[0], 'the stream tells something');
      expect(item.data.events).toEqual({ __typename: 'StreamGap', reason: expect.any(String) });
    } finally {
      await feed.close();
    }
    await eventually(async () => {
      const { data } = await query(product, '{ events(first: 5) { nodes { vendorEventId } } }');
      return data.events.nodes.some((node: { vendorEventId: string }) => node.vendorEventId === now) ? true : undefined;
    }, 'the new event is in the log');
  });

  it('refuse a copy with a flipped bit', async () => {
    const copy = join(old.dir, 'backups', 'flipped.db');
    const bytes = readFileSync(backup);
    const place = Math.floor(bytes.length / 2);
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    writeFileSync(copy, bytes);
    copyFileSync(`${backup}.manifest.json`, `${copy}.manifest.json`);
    const refused = await run('restore', join(old.dir, 'elsewhere'), copy, '--force');
    expect(refused).toMatchObject({ status: 1, output: expect.stringContaining('SHA-256 differs') });
  });
});
