import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { control, simulate } from './fixtures/rig.ts';
import type { VxgSimulator } from './simulator.ts';

async function get(simulator: VxgSimulator, path: string, authorization: string): Promise<number> {
  const answer = await fetch(`${simulator.url}/api/${path}`, { headers: { authorization } });
  await answer.arrayBuffer();
  return answer.status;
}

describe('the simulated installation', () => {
  it('is the same for the same seed, and another for another', async () => {
    const [one, same, other] = await Promise.all([simulate(), simulate(), simulate({ seed: 8 })]);
    expect(same.devices()).toEqual(one.devices());
    expect(other.devices()[0]?.nativeId).not.toBe(one.devices()[0]?.nativeId);
    await Promise.all([one.close(), same.close(), other.close()]);
  });

  it.each([1, 2, 7, 8, 100])('has exactly the %i devices that were wanted', async (devices) => {
    const simulator = await simulate({ devices, sites: 3 });
    expect(new Set(simulator.devices().map(({ nativeId }) => nativeId)).size).toBe(devices);
    await simulator.close();
  });

  it('remembers states, events and its address when it is started again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vxg-'));
    const stateFile = join(folder, 'deep', 'state.json');
    const first = await simulate({ stateFile });
    const [camera] = first.devices();
    first.setState(camera?.nativeId ?? '', 'offline');
    const before = { url: first.url, events: structuredClone(first.installation.events()) };
    await first.close();
    const second = await simulate({ stateFile });
    expect(second.url).toBe(before.url);
    expect(second.devices()[0]?.state).toBe('offline');
    expect(second.installation.events()).toEqual(before.events);
    second.setState(camera?.nativeId ?? '', 'online');
    // Ids go on: an id that came twice would pass for a repetition.
    expect(second.installation.events().map(({ id }) => id)).toEqual([7_712_000, 7_712_001]);
    await second.close();
    rmSync(folder, { recursive: true });
  });

  it('lets in who has a good key, for what it opens', async () => {
    const simulator = await simulate();
    const { world } = simulator.installation;
    const [camera, other] = world.devices.map(({ id }) => id);
    const acc = `Acc  ${simulator.tokens.camera(camera ?? 0, 'all')}`;
    const statuses = await Promise.all([
      get(simulator, 'v2/cameras/', `LKey ${world.keys.licenseKey}`),
      get(simulator, 'v2/cameras/', 'LKey v3.wrong'),
      get(simulator, 'v2/cameras/', ''),
      get(simulator, `v2/cameras/${camera}/`, acc),
      get(simulator, `v2/cameras/${other}/`, acc),
      get(simulator, 'v3/channel_groups/', acc),
      get(simulator, 'v2/cameras', `LKey ${world.keys.licenseKey}`),
    ]);
    expect(statuses).toEqual([200, 401, 401, 200, 404, 403, 404]);
    await control(simulator, 'revoke', {});
    expect(await get(simulator, `v2/cameras/${camera}/`, acc)).toBe(401);
    await simulator.close();
  });

  it('is out of service for as long as it is told', async () => {
    const simulator = await simulate();
    const key = `LKey ${simulator.installation.world.keys.licenseKey}`;
    await control(simulator, 'outage', { seconds: 3_600 });
    expect(await get(simulator, 'v2/cameras/', key)).toBe(503);
    await control(simulator, 'outage', { seconds: 0 });
    expect(await get(simulator, 'v2/cameras/', key)).toBe(200);
    await simulator.close();
  });

  it('does what happens on a normal day', async () => {
    const simulator = await simulate();
    simulator.startTraffic?.({ everyMs: 1 });
    await expect.poll(() => new Set(simulator.installation.events().map(({ name }) => name)).size).toBeGreaterThan(3);
    await simulator.close();
  });
});
