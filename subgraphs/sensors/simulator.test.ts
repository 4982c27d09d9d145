import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startSite } from './fixtures/rig.ts';
import { SensorsSettings } from './settings.ts';
import { type SensorsSimulator, startSimulator } from './simulator.ts';
import { matches } from './simulator/broker.ts';

const folder = mkdtempSync(join(tmpdir(), 'sensors-'));
const running: SensorsSimulator[] = [];

async function start(devices: number): Promise<SensorsSimulator> {
  const sites = [{ name: 'One', address: '1 Main Street', timezone: 'America/Chicago' }];
  const options = {
    seed: 3,
    accountId: 'acc',
    accountName: 'A',
    sites,
    devices,
    port: 0,
    stateFile: join(folder, 'state.json'),
    now: () => new Date(),
  };
  const simulator = await startSimulator(options);
  running.push(simulator);
  return simulator;
}

afterEach(async () => {
  for (const simulator of running.splice(0)) await simulator.close();
  rmSync(folder, { recursive: true, force: true });
});

async function post(url: string, body: unknown): Promise<number> {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  await answer.arrayBuffer();
  return answer.status;
}

describe('the simulated site', () => {
  it('comes back at the same addresses with what was switched', async () => {
    const first = await start(20);
    const [device] = first.devices();
    const path = `/_sim/devices/${device?.nativeId ?? ''}`;
    expect(await post(first.url + path, { state: 'offline' })).toBe(200);
    await first.close();
    const again = await start(20);
    expect(again.url).toBe(first.url);
    expect(again.integration).toEqual(first.integration);
    expect(again.devices()).toEqual(first.devices());
    expect(again.devices()[0]?.state).toBe('offline');
  });

  it.each([1, 2, 7, 40])('has %i devices when it is asked for them, with settings that can be used', async (count) => {
    const simulator = await start(count);
    expect(simulator.devices()).toHaveLength(count);
    expect(SensorsSettings.safeParse(simulator.integration.settings).success).toBe(true);
  });

  it('refuses controls that it does not have', async () => {
    const { url } = await start(5);
    expect(await post(`${url}/_sim/devices/nobody`, { state: 'offline' })).toBe(404);
    expect(await post(`${url}/_sim/faults`, { noSuchFault: true })).toBe(400);
    expect(await post(`${url}/_sim/outage`, { seconds: -1 })).toBe(400);
  });

  it('matches topics as brokers do', () => {
    expect(matches('a/#', 'a/b/c')).toBe(true);
    expect(matches('a/+/c', 'a/b/c')).toBe(true);
    expect(matches('a/+', 'a/b/c')).toBe(false);
    expect(matches('a/b', 'a')).toBe(false);
  });
});

describe('a key ring', () => {
  it('gives each source its own login, and none to those that are not in it', async () => {
    const rig = await startSite();
    try {
      const signal = new AbortController().signal;
      const ring = (text: string) => rig.open({}, 'int_ring', { kind: 'apiKey', apiKey: text });
      const full = JSON.stringify({
        broker: rig.simulator.login,
        controller: rig.simulator.login,
        push: rig.simulator.login,
      });
      const { checks } = await ring(full).probe(signal);
      expect(checks.filter(({ state }) => state === 'FAIL')).toEqual([]);
      const partial = await ring(JSON.stringify({ broker: rig.simulator.login })).probe(signal);
      expect(partial.checks.find(({ state }) => state === 'FAIL')?.id).toBe('credentials');
      const unreadable = await ring('not a ring: hunter2').probe(signal);
      expect(unreadable.checks.find(({ state }) => state === 'FAIL')?.id).toBe('credentials');
      expect(JSON.stringify(unreadable)).not.toContain('hunter2');
      await expect(ring('not a ring: hunter2').listSites(signal)).rejects.toMatchObject({ code: 'MISCONFIGURED' });
      await expect(ring('not a ring: hunter2').listSites(signal)).rejects.not.toThrow(/hunter2/);
    } finally {
      await rig.stop();
    }
  });
});
