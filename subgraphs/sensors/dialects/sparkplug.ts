// Sparkplug B: births, deaths and data of edges and their devices. Pure; what an edge said at birth is kept by the listener.
import type { TelemetryDraft } from '../../../adapter-kit/model.ts';
import type { KnownDevice, Reading } from '../reading.ts';
import { METRICS, type PointSignal } from '../words.ts';
import { decodeSparkplug, type Metric } from './sparkplug-payload.ts';
import { presenceReading } from './zigbee2mqtt.ts';

const TYPES = ['NBIRTH', 'NDEATH', 'NDATA', 'DBIRTH', 'DDEATH', 'DDATA'] as const;
export type SparkplugType = (typeof TYPES)[number];

export interface SparkplugTopic {
  readonly group: string;
  readonly type: SparkplugType;
  readonly edge: string;
  readonly device: string | null;
}

/** `spBv1.0/<group>/<type>/<edge>[/<device>]`; null for anything else, commands among it. */
export function parseSparkplugTopic(topic: string): SparkplugTopic | null {
  const [namespace, group, word, edge, device, ...rest] = topic.split('/');
  const type = TYPES.find((known) => known === word);
  if (namespace !== 'spBv1.0' || type === undefined || !group || !edge || rest.length > 0) return null;
  if (type.startsWith('D') !== Boolean(device)) return null;
  return { group, type, edge, device: device ?? null };
}

/** The end of a metric's name, by our table or by the operator's. */
export function signalOf(name: string, overrides: Readonly<Record<string, PointSignal>>): PointSignal | null {
  if (Object.hasOwn(overrides, name)) return overrides[name] ?? null;
  const last = (name.split('/').at(-1) ?? '').toLowerCase().replaceAll(/[_\s-]/g, '');
  return METRICS.get(last) ?? null;
}

/** The metric's name, also where the message only has its alias. */
export function nameOf(metric: Metric, aliases: Readonly<Record<string, string>>): string | null {
  if (metric.name !== null) return metric.name;
  return metric.alias !== null && Object.hasOwn(aliases, metric.alias) ? (aliases[metric.alias] ?? null) : null;
}

/** @throws SparkplugError */
export function readSparkplug(
  device: KnownDevice,
  { type }: SparkplugTopic,
  payload: Buffer,
  aliases: Readonly<Record<string, string>>,
  overrides: Readonly<Record<string, PointSignal>>,
): readonly Reading[] {
  const { at, metrics } = decodeSparkplug(payload);
  const named = metrics.flatMap((metric) => {
    const name = nameOf(metric, aliases);
    // What an edge sends after the fact is history: it must not move what is now.
    return name === null || metric.isHistorical ? [] : [{ name, metric }];
  });
  const metadata = Object.fromEntries(
    named.filter(({ name }) => name !== '__proto__').map(({ name, metric }) => [name, metric.value]),
  );
  const battery = named.find(
    ({ name, metric }) => /(^|\/)battery(_?level)?$/i.test(name) && typeof metric.value === 'number',
  );
  const level = Number(battery?.metric.value);
  const telemetry: TelemetryDraft =
    battery !== undefined && level >= 0 && level <= 100 ? { batteryPercent: Math.round(level) } : {};
  const readings = named.flatMap(({ name, metric }): Reading[] => {
    const signal = signalOf(name, overrides);
    if (signal === null || metric.value === null) return [];
    const isActive =
      typeof metric.value === 'string' ? /^(true|1|on|active)$/i.test(metric.value) : Boolean(metric.value);
    const value = isActive ? 'active' : 'clear';
    const word = `${name}:${String(metric.value)}`.slice(0, 200);
    const isInitial = type.endsWith('BIRTH');
    return [
      {
        nativeId: device.nativeId,
        point: name,
        signal,
        value,
        word,
        occurredAt: metric.at ?? at,
        telemetry,
        metadata,
        isInitial,
      },
    ];
  });
  if (type.endsWith('DATA')) return readings;
  // A death is told by the broker, by a will written at the birth: its time is the birth's. Only DDEATH has its own.
  const occurredAt = type === 'NDEATH' ? null : at;
  const presence = presenceReading(device.nativeId, type.endsWith('BIRTH') ? 'online' : 'offline', metadata);
  return [{ ...presence, word: type, occurredAt }, ...readings];
}
