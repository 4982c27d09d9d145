import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import type { Simulator, SimulatorOptions } from '../adapter-kit/simulator.ts';
import { vendors } from '../subgraphs/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'simulators-'));

function optionsOf(over: Partial<SimulatorOptions> = {}): SimulatorOptions {
  return {
    seed: 11,
    accountId: '0b9f5f0e-7f1c-4a51-8a53-00000000000b',
    accountName: 'Front door',
    sites: ['North', 'South'].map((name) => ({ name, address: `1 ${name} Street`, timezone: 'America/Chicago' })),
    devices: 24,
    port: 0,
    stateFile: null,
    now: () => new Date(),
    ...over,
  };
}

const started: Simulator[] = [];

async function start(vendor: Vendor, over: Partial<SimulatorOptions> = {}): Promise<Simulator> {
  const simulator = await (await vendor.simulator()).startSimulator(optionsOf(over));
  started.push(simulator);
  return simulator;
}

async function stop(simulator: Simulator): Promise<void> {
  started.splice(started.indexOf(simulator), 1);
  await simulator.close();
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function call(simulator: Simulator, path: string, body?: unknown): Promise<Answer> {
  const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(new URL(path, simulator.url), body === undefined ? {} : post);
  return { status: answer.status, body: await answer.json() };
}

function devicePath(nativeId: string): string {
  return `/_sim/devices/${encodeURIComponent(nativeId)}`;
}

/** What every simulator says of a device; some know more. */
function devicesOf(simulator: Simulator): unknown {
  return simulator.devices().map(({ nativeId, name, type, state, siteId, accountId }) => {
    return { nativeId, name, type, state, siteId, accountId };
  });
}

/** What a seed decides; addresses and secrets are of one start. */
function truthOf(simulator: Simulator): unknown {
  return { sites: simulator.sites(), devices: devicesOf(simulator) };
}

afterEach(async () => {
  await Promise.all([...started].map(stop));
});
afterAll(() => rmSync(folder, { recursive: true }));

// What the sandbox, the demonstrations and the tests use without knowing which platform they speak to.
describe.each(vendors.map((vendor) => [vendor.slug, vendor] as const))('the simulator of %s', (slug, vendor) => {
  describe('at its front door', () => {
    let simulator: Simulator;
    beforeEach(async () => {
      simulator = await start(vendor);
    });

    it('shows its truth', async () => {
      const { status, body } = await call(simulator, '/_sim/devices');
      expect(status).toBe(200);
      expect(body).toMatchObject(Object(devicesOf(simulator)));
      expect(body).toHaveLength(24);
    });

    it('switches any of its devices off and on', async () => {
      const stateOf = (nativeId: string) => simulator.devices().find((device) => device.nativeId === nativeId)?.state;
      for (const { nativeId } of simulator.devices()) {
        for (const state of ['offline', 'online'] as const) {
          expect(await call(simulator, devicePath(nativeId), { state })).toMatchObject({ status: 200 });
          expect(stateOf(nativeId)).toBe(state);
        }
      }
    });

    it('refuses devices that it does not have, states that are none, and paths that lead nowhere', async () => {
      const nativeId = simulator.devices()[0]?.nativeId ?? '';
      const before = truthOf(simulator);
      expect(await call(simulator, devicePath('nobody'), { state: 'offline' })).toMatchObject({ status: 404 });
      expect(await call(simulator, devicePath(nativeId), { state: 'asleep' })).toMatchObject({ status: 400 });
      expect(await call(simulator, '/_sim/nothing', {})).toMatchObject({ status: 404 });
      expect(truthOf(simulator)).toEqual(before);
    });

    // That its platform is then away for an adapter is a clause of the contract suite.
    it('takes the word for an outage, and answers at this door meanwhile', async () => {
      expect(await call(simulator, '/_sim/outage', { seconds: 600 })).toMatchObject({ status: 200 });
      expect(await call(simulator, '/_sim/devices')).toMatchObject({ status: 200, body: devicesOf(simulator) });
      expect(await call(simulator, '/_sim/outage', { seconds: -1 })).toMatchObject({ status: 400 });
      expect(await call(simulator, '/_sim/outage', { seconds: 0 })).toMatchObject({ status: 200 });
    });
  });

  it('is the same for the same seed, and another for another', async () => {
    const first = await start(vendor);
    const second = await start(vendor);
    const other = await start(vendor, { seed: 12 });
    expect(truthOf(second)).toEqual(truthOf(first));
    expect(truthOf(other)).not.toEqual(truthOf(first));
  });

  it('goes on after a restart as it was, and where it was', async () => {
    const stateFile = join(folder, `${slug}.json`);
    const before = await start(vendor, { stateFile });
    const { url } = before;
    const nativeId = before.devices()[7]?.nativeId ?? '';
    await call(before, devicePath(nativeId), { state: 'offline' });
    const truth = truthOf(before);
    await stop(before);

    const after = await start(vendor, { stateFile });
    // Nobody calls a platform that only pushes.
    expect(vendor.ingest.pushOnly === true || after.url === url).toBe(true);
    expect(truthOf(after)).toEqual(truth);
    // It may have taken others with it: those that report through it.
    const gone = after.devices().filter(({ state }) => state === 'offline');
    expect(gone.map((device) => device.nativeId)).toContain(nativeId);
  });
});
