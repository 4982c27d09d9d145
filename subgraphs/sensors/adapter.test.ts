import { readFileSync } from 'node:fs';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import type { DeviceDraft } from '../../adapter-kit/model.ts';
import { subgraphSdl, vendorStubs, vendorSubgraphSdl } from '../../schema/build-subgraph.ts';
import type { SensorsRig } from './fixtures/rig.ts';
import { startSite } from './fixtures/rig.ts';
import { sensors } from './index.ts';

let rig: SensorsRig;
beforeEach(async () => {
  rig = await startSite(40);
});
afterEach(async () => {
  await rig.stop();
});

const signal = new AbortController().signal;

async function list(adapter: Adapter): Promise<ReadonlyMap<string, DeviceDraft>> {
  const pages = await Array.fromAsync(adapter.listDevices(signal));
  return new Map(pages.flatMap(({ devices }) => devices).map((device) => [device.nativeId, device]));
}

const ref = (nativeId: string) => ({ nativeId, nativeOrgId: '', nativeSiteId: 'site-1' });

describe('the adapter', () => {
  it('lists what each platform really has: kind, model, firmware, serial, parent, zone and cameras', async () => {
    const devices = await list(rig.open());
    const [leaf] = rig.simulator.devices();
    expect(devices.get(leaf?.nativeId ?? '')).toMatchObject({
      type: 'DETECTOR',
      vendorType: 'smoke',
      manufacturer: 'Acme',
      model: 'ZB-smoke',
      firmware: '1.0.7',
      parentNativeId: 'broker/zigbee2mqtt-1/bridge',
      zone: { name: 'Kitchen', kind: 'AREA' },
      capabilities: ['EMITS_HEALTH', 'EMITS_ALARM'],
      links: [
        { relation: 'WATCHED_BY', integrationId: null, namespace: 'serial', value: 'kitchen-camera' },
        { relation: 'WATCHED_BY', integrationId: null, namespace: 'serial', value: 'hall-camera' },
      ],
    });
    expect(devices.get('controller')).toMatchObject({
      type: 'CONTROLLER',
      manufacturer: 'Acme Access',
      firmware: '3.1.4',
      serialNumber: 'AC5',
    });
    expect(devices.get('modbus/1')).toMatchObject({ type: 'PANEL', parentNativeId: 'modbus', name: 'Fire panel' });
    expect([...devices.values()].filter(({ status }) => status?.state === 'ONLINE').length).toBeGreaterThan(30);
  });

  it('answers with the extras of its own type', async () => {
    const [leaf] = rig.simulator.devices();
    const found = await rig.open().readDevices([ref(leaf?.nativeId ?? '')], signal);
    expect(found.get(leaf?.nativeId ?? '')?.extras).toEqual({
      protocol: 'mqtt/zigbee2mqtt',
      topic: `zigbee2mqtt-1/${leaf?.name}`,
      linkedCameras: [
        { id: 'kitchen-camera', name: 'kitchen-camera' },
        { id: 'hall-camera', name: 'hall-camera' },
      ],
      lastReading: null,
    });
  });

  it('reads one device that it knows with two packets: no list is fetched', async () => {
    const adapter = rig.open();
    const [leaf] = rig.simulator.devices();
    await list(adapter);
    const before = rig.simulator.calls();
    await adapter.readDevices([ref(leaf?.nativeId ?? '')], signal);
    expect(rig.simulator.calls() - before).toBe(2);
  });

  it.each([{ legacyPresence: true }, { legacyPresence: false }])(
    'takes presence as text and as JSON: %j',
    async (faults) => {
      rig.simulator.setFaults(faults);
      const leaf = rig.simulator.devices()[1]?.nativeId ?? '';
      rig.simulator.setState(leaf, 'offline');
      expect((await list(rig.open())).get(leaf)?.status?.state).toBe('OFFLINE');
    },
  );

  it('answers for the others when a source is down, and says what is down', async () => {
    rig.simulator.setState('controller', 'offline');
    rig.simulator.setState('modbus', 'offline');
    const devices = await list(rig.open());
    expect(devices.get('controller')?.status?.state).toBe('OFFLINE');
    expect(devices.get('modbus/1')?.status).toMatchObject({ state: 'UNKNOWN', reason: 'PARENT_DOWN' });
    const found = await rig.open().readDevices([ref('controller'), ref('broker/frigate')], signal);
    expect(found.get('controller')?.state).toBe('OFFLINE');
    expect(found.get('broker/frigate')?.state).toBe('ONLINE');
  });

  it('holds its deadline at a gateway that takes questions and answers none', async () => {
    rig.simulator.setFaults({ modbusSilent: true });
    const startedAt = performance.now();
    const devices = await list(rig.open({ timeoutMs: 200 }));
    expect(devices.get('modbus')?.status?.state).toBe('OFFLINE');
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it('asks a busy unit again', async () => {
    rig.simulator.setFaults({ modbusException: 6, modbusTimes: 2 });
    expect((await list(rig.open())).get('modbus/1')?.status?.vendorState).toBe('answers');
  });

  it('says unknown of what is behind a bridge that is gone, whatever is retained', async () => {
    rig.simulator.setState('broker/zigbee2mqtt-1/bridge', 'offline');
    const leaf = rig.simulator.devices()[0]?.nativeId ?? '';
    expect((await list(rig.open())).get(leaf)?.status).toMatchObject({ state: 'UNKNOWN', reason: 'PARENT_DOWN' });
  });

  it('names every host and port that was reached', async () => {
    const adapter = rig.open();
    const { checks } = await adapter.probe(signal);
    const tcp = checks.find(({ id }) => id === 'tcp');
    expect(tcp?.state).toBe('PASS');
    const asked = rig.settings.sources.filter(({ protocol, port }) => protocol !== 'http' || port !== undefined);
    expect(asked.length).toBeGreaterThan(2);
    for (const { id, port } of asked)
      expect(tcp?.detail).toMatch(new RegExp(`${id} 127\\.0\\.0\\.1:${port ?? '\\d+'}`));
  });

  it('names the permission that is missing', async () => {
    rig.simulator.setFaults({ refuseFilter: 'zigbee2mqtt-1/bridge/devices' });
    const { checks } = await rig.open().probe(signal);
    expect(checks.find(({ state }) => state === 'FAIL')?.id).toBe('permission');
  });

  it('gives a subscription up when the device has no place for it', async () => {
    rig.simulator.setFaults({ maxPullPoints: 0 });
    const sources = rig.settings.sources.filter(({ protocol }) => protocol === 'onvif');
    const adapter = rig.open({ sources, sensors: [] });
    const listening = adapter.listen?.(null, signal)[Symbol.asyncIterator]();
    await expect(listening?.next()).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: 60_000 });
  });

  it('composes with the shared subgraphs', () => {
    const own = (name: string) => readFileSync(new URL(`../${name}/schema.graphql`, import.meta.url), 'utf8');
    const list = [sensors];
    const sdls = [
      { name: 'directory', sdl: subgraphSdl(own('directory') + vendorStubs('Platform', list), list) },
      { name: 'inventory', sdl: subgraphSdl(own('inventory') + vendorStubs('Device', list), list) },
      { name: 'events', sdl: subgraphSdl(own('events'), list) },
      { name: 'sensors', sdl: vendorSubgraphSdl(own('sensors'), list) },
    ];
    const { errors, supergraphSdl } = composeServices(sdls.map(({ name, sdl }) => ({ name, typeDefs: parse(sdl) })));
    expect(errors ?? []).toEqual([]);
    expect(supergraphSdl).toContain('type SensorDevice');
  });
});
