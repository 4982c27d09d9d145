// Zigbee2MQTT: an inventory, a bridge, and state messages of devices. Pure.
import { z } from 'zod';
import type { TelemetryDraft } from '../../../adapter-kit/model.ts';
import type { KnownDevice, Reading } from '../reading.ts';
import { LooseNumber, PresenceWord, ZigbeeDevice } from '../wire.ts';
import { EXPOSES, PRESENCE, type SensorKind, ZIGBEE_MEMBERS } from '../words.ts';

const State = z.record(z.string(), z.unknown());

/** The coordinator is the gateway of the others. */
export function isCoordinator(device: ZigbeeDevice): boolean {
  return device.type === 'Coordinator';
}

/** @returns the devices, and how many entries could not be read @throws ZodError when it is no list */
export function parseBridgeDevices(payload: unknown): {
  readonly devices: readonly ZigbeeDevice[];
  readonly rejected: number;
} {
  const entries = z.array(z.unknown()).max(10_000).parse(payload);
  const devices = entries.flatMap((entry) => {
    const parsed = ZigbeeDevice.safeParse(entry);
    return parsed.success ? [parsed.data] : [];
  });
  return { devices, rejected: entries.length - devices.length };
}

/** Every expose's name, those of features too. */
function exposedBy(device: ZigbeeDevice): readonly string[] {
  return (device.definition?.exposes ?? []).flatMap(({ name, property, features }) =>
    [name, property, ...(features ?? []).map((feature) => feature.name)].filter((each) => each !== undefined),
  );
}

/** What it is for, and the platform's word that says so. */
export function kindOf(device: ZigbeeDevice): { readonly kind: SensorKind | null; readonly word: string | null } {
  if (isCoordinator(device)) return { kind: null, word: device.type };
  const names = exposedBy(device);
  for (const [name, kind] of EXPOSES) if (names.includes(name)) return { kind, word: name };
  return { kind: null, word: names[0] ?? device.type };
}

export function presenceReading(nativeId: string, word: string, metadata: unknown): Reading {
  const value = PRESENCE.get(word.toLowerCase()) ?? 'unknown';
  return { nativeId, point: 'device', signal: 'presence', value, word, occurredAt: null, metadata };
}

/** `…/availability` and `bridge/state`. @throws ZodError */
export function readPresence(device: KnownDevice, payload: unknown): Reading {
  return presenceReading(device.nativeId, PresenceWord.parse(payload), payload);
}

function telemetryOf(state: Readonly<Record<string, unknown>>): TelemetryDraft {
  const battery = LooseNumber.safeParse(state['battery']);
  const signal = LooseNumber.safeParse(state['linkquality']);
  return {
    ...(battery.success && battery.data >= 0 && battery.data <= 100
      ? { batteryPercent: Math.round(battery.data) }
      : {}),
    ...(signal.success ? { signal: signal.data, signalUnit: 'lqi' } : {}),
  };
}

/** What a device's own topic says: one reading for every member that means something. @throws ZodError */
export function readState(device: KnownDevice, payload: unknown): readonly Reading[] {
  const state = State.parse(payload);
  const telemetry = telemetryOf(state);
  const readings = [...ZIGBEE_MEMBERS].flatMap(([member, { signal, activeWhen }]): Reading[] => {
    const value = state[member];
    if (typeof value !== 'boolean') return [];
    return [
      {
        nativeId: device.nativeId,
        point: member,
        signal,
        value: value === activeWhen ? 'active' : 'clear',
        word: `${member}:${value}`,
        occurredAt: null,
        telemetry,
        metadata: state,
      },
    ];
  });
  const report: Reading = {
    nativeId: device.nativeId,
    point: 'device',
    signal: 'value',
    value: 'report',
    word: 'report',
    occurredAt: null,
    telemetry,
    metadata: state,
    // A measurement is no event by itself.
    isInitial: true,
  };
  return [...readings, report];
}
