import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deliver, eventually, healthEvent, query, sign, SimulatedDevices } from '../e2e/rig.ts';
import { arrivalsFileOf } from '../../storage/sqlite/arrivals-file.ts';
import { breakDisk, type Injection, storeFiles } from './fault.ts';
import { type SandboxProcess, sandboxFolder, startSandboxProcess } from './sandbox-process.ts';

// The product as a process whose disk fails under it. The kernel is made to answer as a full or broken disk would.

type Integration = SandboxProcess['credentials']['integrations'][number];

const folder = sandboxFolder();
let product: SandboxProcess;
let integration: Integration;
let device: Parameters<typeof healthEvent>[0];

beforeAll(async () => {
  product = await startSandboxProcess(folder.dir);
  const [first] = product.credentials.integrations;
  if (first === undefined) throw new Error('no integration');
  integration = first;
  const devices = SimulatedDevices.parse(await (await fetch(`${first.simulatorUrl}/_sim/devices`)).json());
  const [some] = devices;
  if (some === undefined) throw new Error('no device');
  device = some;
});

afterAll(async () => {
  await product?.kill();
  folder.remove();
});

async function readiness(): Promise<number> {
  return (await fetch(`${product.url}/readyz`)).status;
}

async function metrics(): Promise<string> {
  return (await fetch(`${product.url}/metrics`)).text();
}

async function send(body: string): Promise<{ status: number; retryAfter: string | null; answer: unknown }> {
  const response = await fetch(integration.webhookUrl ?? '', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...sign(integration, body) },
    body,
  });
  return { status: response.status, retryAfter: response.headers.get('retry-after'), answer: await response.json() };
}

async function loggedIds(): Promise<string[]> {
  const { data } = await query(product, '{ events(first: 200) { nodes { vendorEventId } } }');
  return data.events.nodes.map((node: { vendorEventId: string }) => node.vendorEventId);
}

/**
 * What every one of these faults must look like from outside, and that it passes.
 *
 * @returns what the log has of the two events that it sent
 */
async function survive(fault: () => Promise<() => Promise<void>>): Promise<string[]> {
  const [before, during] = [randomUUID(), randomUUID()];
  await eventually(async () => ((await readiness()) === 200 ? true : undefined), 'the store is well');
  expect(await deliver(integration, healthEvent(device, 'offline', new Date(), before))).toMatchObject({ status: 202 });
  await eventually(async () => ((await loggedIds()).includes(before) ? true : undefined), 'it is in the log');

  const body = healthEvent(device, 'online', new Date(), during);
  const mend = await fault();
  try {
    const refused = await send(body);
    expect(refused).toMatchObject({ status: 503, answer: { accepted: false, error: { code: 'UNAVAILABLE' } } });
    expect(Number(refused.retryAfter)).toBeGreaterThan(0);
    expect(await readiness()).toBe(503);
    expect(await metrics()).toMatch(/^convergraph_store_writable 0$/m);
    // What is there can be read all the same.
    expect(await loggedIds()).toContain(before);
  } finally {
    await mend();
  }
  await eventually(async () => ((await readiness()) === 200 ? true : undefined), 'the store is well again');
  expect(await metrics()).toMatch(/^convergraph_store_writable 1$/m);
  // Not a duplicate: what was refused was not kept.
  expect(await send(body)).toMatchObject({ status: 202, answer: { accepted: true } });
  await eventually(async () => ((await loggedIds()).includes(during) ? true : undefined), 'it is in the log');
  expect(product.child.exitCode).toBeNull();
  return (await loggedIds()).filter((id) => id === before || id === during);
}

describe('the product on a disk', () => {
  it.each<[string, Injection]>([
    ['that is full', 'pwrite64:error=ENOSPC'],
    ['that cannot be written', 'pwrite64:error=EIO'],
    ['that became read-only', 'pwrite64:error=EROFS'],
    ['that cannot be synced', 'fsync,fdatasync:error=EIO'],
  ])('%s acknowledges nothing, says so, and recovers by itself', async (_, injection) => {
    const files = storeFiles(product.databaseFile);
    expect(await survive(() => breakDisk(product.child.pid ?? 0, files, injection))).toHaveLength(2);
  });

  it('whose file of arrivals another process holds for too long acknowledges nothing, says so, and recovers by itself', async () => {
    const other = new DatabaseSync(arrivalsFileOf(product.databaseFile));
    try {
      const logged = await survive(async () => {
        other.exec('begin immediate');
        return async () => other.exec('rollback');
      });
      expect(logged).toHaveLength(2);
    } finally {
      other.close();
    }
  });

  it('whose database another process holds acknowledges all the same, and processes what came when it can', async () => {
    const other = new DatabaseSync(product.databaseFile);
    const id = randomUUID();
    try {
      other.exec('begin immediate');
      expect(await deliver(integration, healthEvent(device, 'offline', new Date(), id))).toMatchObject({ status: 202 });
      expect(await deliver(integration, healthEvent(device, 'offline', new Date(), id))).toMatchObject({ status: 202 });
      expect(await loggedIds()).not.toContain(id);
      other.exec('rollback');
      await eventually(async () => ((await loggedIds()).includes(id) ? true : undefined), 'it is in the log');
      expect((await loggedIds()).filter((each) => each === id)).toHaveLength(1);
    } finally {
      other.close();
    }
    await eventually(async () => ((await readiness()) === 200 ? true : undefined), 'the store is well');
  });

  it('tells how much room there is', async () => {
    expect(Number(/^convergraph_data_directory_free_bytes (\d+)/m.exec(await metrics())?.[1])).toBeGreaterThan(0);
  });

  it('tells of a fault when it begins and when it ends, not in between', () => {
    const count = (text: string) => product.output().split(text).length - 1;
    // Five faults, of two files each.
    expect(count('The store cannot be written')).toBeLessThanOrEqual(10);
    expect(count('Checkpoints fail')).toBeLessThanOrEqual(10);
  });
});
