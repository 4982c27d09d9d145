import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import type { Heard, SensorsRig } from './fixtures/rig.ts';
import { startSite } from './fixtures/rig.ts';

let rig: SensorsRig;
beforeEach(async () => {
  rig = await startSite();
});
afterEach(async () => {
  await rig.stop();
});

const of = (nativeId: string, type: string) => (draft: EventDraft) =>
  draft.nativeDeviceId === nativeId && draft.type === type;

/** A listener may connect at its leisure: what is sensed is sensed again until it was heard. */
async function sensed(heard: Heard, nativeId: string, type: string): Promise<EventDraft> {
  if (nativeId.startsWith('modbus/')) {
    // Polled: what is set before the first poll stood when we came.
    await heard.until(of(nativeId, 'supervision.report'));
    rig.simulator.trigger(nativeId, true);
    return heard.until(of(nativeId, type));
  }
  const again = setInterval(() => {
    rig.simulator.trigger(nativeId, false);
    rig.simulator.trigger(nativeId, true);
  }, 100);
  try {
    rig.simulator.trigger(nativeId, true);
    return await heard.until(of(nativeId, type));
  } finally {
    clearInterval(again);
  }
}

function zigbee(expose: string): string {
  const device = rig.simulator.devices().find(({ type }) => type === expose);
  if (device === undefined) throw new Error(`no ${expose}`);
  return device.nativeId;
}

describe('listening', () => {
  it.each([
    ['smoke', 'alarm.smoke', 'alarm.restored'],
    ['water_leak', 'alarm.water_leak', 'alarm.restored'],
    ['occupancy', 'sensor.motion', 'sensor.motion_stopped'],
    ['contact', 'access.opened', 'access.closed'],
  ])('tells of %s over Zigbee2MQTT, and of its end, with everything that was said', async (expose, type, restored) => {
    const heard = rig.hear(rig.open());
    const alarm = await sensed(heard, zigbee(expose), type);
    expect(alarm.details.metadata).toMatchObject({ point: expose, source: { linkquality: 84, battery: 91 } });
    expect(alarm.telemetry).toEqual({ batteryPercent: 91, signal: 84, signalUnit: 'lqi' });
    rig.simulator.trigger(zigbee(expose), false);
    const over = await heard.until(of(zigbee(expose), restored));
    expect(over.severity).not.toBe('CRITICAL');
  });

  it.each([
    ['Tasmota', 'broker/dock-pir', 'sensor.motion'],
    ['Sparkplug, by alias only', 'broker/plant/edge-1/cable-1', 'alarm.water_leak'],
    ['Frigate', 'broker/frigate', 'sensor.detection'],
    ['ONVIF', 'controller', 'access.forced_open'],
    ['Modbus', 'modbus/1', 'alarm.fire'],
  ])('tells of what is sensed over %s', async (_, nativeId, type) => {
    const heard = rig.hear(rig.open());
    const event = await sensed(heard, nativeId, type);
    expect(event.nativeSiteId).toBe('site-1');
    expect(event.details.metadata).toBeTruthy();
  });

  it('carries label, score and box of a detection, and one event at its end', async () => {
    const heard = rig.hear(rig.open());
    const event = await sensed(heard, 'broker/frigate', 'sensor.detection');
    expect(event.details.actors).toEqual([{ kind: 'person', confidence: 0.93 }]);
    expect(event.details.metadata).toMatchObject({ source: { label: 'person', score: 0.93, box: [10, 20, 110, 220] } });
    expect(event.vendorEventId).toMatch(/\/new$/);
  });

  it('drops the names of people at a door unless asked to keep them', async () => {
    const heard = rig.hear(rig.open());
    const denied = await sensed(heard, 'controller', 'access.denied');
    expect(denied.details.outcome).toBe('DENIED');
    expect(JSON.stringify(heard.drafts)).not.toContain('Jane Roe');
    expect(JSON.stringify(denied.details)).toContain('NotPermittedAtThisTime');
  });

  it('names the zone of a fire alarm and restores it', async () => {
    const heard = rig.hear(rig.open());
    const alarm = await sensed(heard, 'modbus/1', 'alarm.fire');
    expect(alarm).toMatchObject({ severity: 'CRITICAL', details: { zone: 'zone-2', restoral: false } });
    rig.simulator.trigger('modbus/1', false);
    const restored = await heard.until(of('modbus/1', 'alarm.restored'));
    expect(restored.details).toMatchObject({ zone: 'zone-2', restoral: true });
  });

  it('takes an alarm that stands when it first listens for state, not for an event', async () => {
    rig.simulator.trigger('modbus/1', true);
    const heard = rig.hear(rig.open());
    await sensed(heard, 'modbus/2', 'alarm.water_leak');
    expect(heard.drafts.some(of('modbus/1', 'alarm.fire'))).toBe(false);
  });

  it('tells after a restart what began and what ended while nobody listened', async () => {
    const first = rig.hear(rig.open());
    await sensed(first, 'modbus/1', 'alarm.fire');
    const token = await first.stop();
    expect(token).toContain('modbus/1|zone-2|alarm');
    rig.simulator.trigger('modbus/1', false);
    rig.simulator.trigger('modbus/2', true);
    const second = rig.hear(rig.open(), token);
    await second.until(of('modbus/1', 'alarm.restored'));
    await second.until(of('modbus/2', 'alarm.water_leak'));
  });

  it('gets from the broker what came while it was away', async () => {
    const smoke = zigbee('smoke');
    const first = rig.hear(rig.open());
    await sensed(first, zigbee('occupancy'), 'sensor.motion');
    await first.stop();
    rig.simulator.trigger(smoke, true);
    const second = rig.hear(rig.open(), '{"v":1,"abnormal":[]}');
    expect((await second.until(of(smoke, 'alarm.smoke'))).severity).toBe('CRITICAL');
  });

  it('counts a message that is sent twice once', async () => {
    rig.simulator.setFaults({ repeat: true });
    const heard = rig.hear(rig.open());
    const frigate = await sensed(heard, 'broker/frigate', 'sensor.detection');
    // What is sent after the repeat is heard after it.
    await sensed(heard, 'broker/dock-pir', 'sensor.motion');
    const same = heard.drafts.filter(({ vendorEventId }) => vendorEventId === frigate.vendorEventId);
    expect(same).toHaveLength(1);
  });

  it('says of what is behind a bridge that it is unknown when the bridge falls, and how it is when it is back', async () => {
    const smoke = zigbee('smoke');
    const bridge = rig.simulator.devices().find(({ type }) => type === 'Coordinator')?.nativeId ?? '';
    const heard = rig.hear(rig.open());
    await sensed(heard, smoke, 'alarm.smoke');
    rig.simulator.setState(bridge, 'offline');
    await heard.until(of(bridge, 'health.offline'));
    const child = await heard.until(of(smoke, 'health.unknown'));
    expect(child.claim).toMatchObject({ state: 'UNKNOWN', reason: 'PARENT_DOWN' });
    rig.simulator.setState(bridge, 'online');
    await heard.until(of(smoke, 'health.online'));
  });

  it('takes an edge and its devices for dead by its own certificate only, not by one of an earlier life', async () => {
    const cable = 'broker/plant/edge-1/cable-1';
    const heard = rig.hear(rig.open());
    await sensed(heard, cable, 'alarm.water_leak');
    rig.simulator.lateDeath();
    await sensed(heard, 'broker/dock-pir', 'sensor.motion');
    expect(heard.drafts.some(of(cable, 'health.offline'))).toBe(false);
    rig.simulator.setState('broker/plant/edge-1', 'offline');
    await heard.until(of('broker/plant/edge-1', 'health.offline'));
    await heard.until(of(cable, 'health.offline'));
    rig.simulator.setState('broker/plant/edge-1', 'online');
    await heard.until(of(cable, 'health.online'));
  });

  it('tells that a gateway is gone after three failures while the others go on, and that it is back', async () => {
    const heard = rig.hear(rig.open());
    await sensed(heard, 'modbus/1', 'alarm.fire');
    rig.simulator.setState('modbus', 'offline');
    await heard.until(of('modbus', 'health.offline'));
    expect((await heard.until(of('modbus/2', 'health.unknown'))).claim?.reason).toBe('PARENT_DOWN');
    await sensed(heard, 'broker/dock-pir', 'sensor.motion');
    rig.simulator.setState('modbus', 'online');
    await heard.until(of('modbus', 'health.online'));
    await heard.until(of('modbus/2', 'health.online'));
  });

  it('tells a unit that its gateway cannot reach from a gateway that is gone', async () => {
    const heard = rig.hear(rig.open());
    await sensed(heard, 'modbus/1', 'alarm.fire');
    rig.simulator.setState('modbus/2', 'offline');
    await heard.until(of('modbus/2', 'health.offline'));
    expect(heard.drafts.some(of('modbus', 'health.offline'))).toBe(false);
  });

  it('gives its place at a device back when it stops', async () => {
    const heard = rig.hear(rig.open());
    await sensed(heard, 'controller', 'access.forced_open');
    expect(rig.simulator.pullPoints()).toBe(1);
    await heard.stop();
    expect(rig.simulator.pullPoints()).toBe(0);
    expect(rig.simulator.mqttClients()).toBe(0);
  });

  it('reads times without a zone as UTC', async () => {
    rig.simulator.setFaults({ onvifWithoutZ: true });
    const heard = rig.hear(rig.open());
    const forced = await sensed(heard, 'controller', 'access.forced_open');
    expect(Math.abs(forced.occurredAt.getTime() - Date.now())).toBeLessThan(60_000);
  });

  it('ends with the error when no source is left', async () => {
    const adapter = rig.open({ sources: [rig.settings.sources[0]], sensors: [] });
    rig.simulator.setFaults({ refuseFilter: 'zigbee2mqtt-1' });
    const listening = adapter.listen?.(null, new AbortController().signal);
    await expect(listening?.[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });
});
