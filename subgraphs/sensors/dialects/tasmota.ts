// Tasmota: LWT, telemetry, and results of switches. Its times are local and without a zone: arrival counts. Pure.
import { z } from 'zod';
import type { KnownDevice, Reading } from '../reading.ts';
import type { Switch } from '../settings.ts';
import { presenceReading } from './zigbee2mqtt.ts';

const Telemetry = z.looseObject({
  Wifi: z.looseObject({ Signal: z.number().nullish() }).nullish(),
});

/** Prefix and topic of a message by the configured `FullTopic`; null when it is not one of these devices'. */
export function tasmotaTopics(
  fullTopic: string,
  topic: string,
): { readonly lwt: string; readonly filters: readonly string[] } {
  const of = (prefix: string, what: string): string =>
    `${fullTopic.replaceAll('%prefix%', prefix).replaceAll('%topic%', topic).replace(/\/+$/, '')}/${what}`;
  return {
    lwt: of('tele', 'LWT'),
    filters: [of('tele', 'LWT'), of('tele', 'STATE'), of('tele', 'SENSOR'), of('stat', 'RESULT')],
  };
}

export function readLwt(device: KnownDevice, payload: string): Reading {
  return presenceReading(device.nativeId, payload.slice(0, 100), payload.slice(0, 100));
}

/** STATE, SENSOR and RESULT. @throws ZodError */
export function readTelemetry(device: KnownDevice, switches: readonly Switch[], payload: unknown): readonly Reading[] {
  const telemetry = Telemetry.parse(payload);
  const dbm = telemetry.Wifi?.Signal;
  const base = {
    nativeId: device.nativeId,
    occurredAt: null,
    metadata: telemetry,
    ...(typeof dbm === 'number' ? { telemetry: { signal: dbm, signalUnit: 'dBm' } } : {}),
  };
  const readings = switches.flatMap(({ key, activeWhen, signal }): Reading[] => {
    // RESULT wraps the state: {"Switch1":{"Action":"ON"}}
    const said = Object.hasOwn(telemetry, key) ? telemetry[key] : undefined;
    const word = typeof said === 'object' && said !== null ? Reflect.get(said, 'Action') : said;
    if (typeof word !== 'string') return [];
    return [
      {
        ...base,
        point: key,
        signal,
        value: word === activeWhen ? 'active' : 'clear',
        word: `${key}:${word}`.slice(0, 200),
      },
    ];
  });
  return [...readings, { ...base, point: 'device', signal: 'value', value: 'report', word: 'report', isInitial: true }];
}
