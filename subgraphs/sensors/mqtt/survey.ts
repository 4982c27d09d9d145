// What a broker retains, read in one short session: who is there, and how everyone is.
import { setTimeout as wait } from 'node:timers/promises';
import { abandoned, AdapterError } from '../../../adapter-kit/adapter-error.ts';
import type { Listed } from '../catalogue.ts';
import { encodeSparkplug } from '../dialects/sparkplug-payload.ts';
import { parseSparkplugTopic } from '../dialects/sparkplug.ts';
import { tasmotaTopics } from '../dialects/tasmota.ts';
import { parseJson } from '../../../adapter-kit/json-guard.ts';
import { PresenceWord } from '../wire.ts';
import { PRESENCE } from '../words.ts';
import type { DriverParts } from '../driver.ts';
import type { MqttSource } from '../settings.ts';
import {
  configuredAt,
  edgeDevice,
  frigateDevice,
  onvifPusher,
  sparkplugDevice,
  tasmotaSensors,
  zigbeeNetwork,
} from './devices.ts';
import { type MqttMessage, type MqttSession, openMqtt } from './session.ts';

/** A bridge's list of 10,000 devices has more members than a delivery may. */
const MAX_LIST_KEYS = 2_000_000;
/** Retained messages of one survey. */
const MAX_RETAINED = 50_000;

/** Retained messages as they come in, until all that are expected are there or nothing has come for a while. */
interface Snapshot {
  readonly messages: ReadonlyMap<string, Buffer>;
  readonly take: (message: MqttMessage) => void;
  complete(session: MqttSession, expected: readonly string[], settleMs: number, signal: AbortSignal): Promise<void>;
}

function createSnapshot(): Snapshot {
  const messages = new Map<string, Buffer>();
  let heardAt = performance.now();
  let wake = Promise.withResolvers<void>();
  return {
    messages,
    take({ topic, payload }) {
      heardAt = performance.now();
      if (messages.size < MAX_RETAINED) messages.set(topic, payload);
      wake.resolve();
      wake = Promise.withResolvers<void>();
    },
    async complete(session, expected, settleMs, signal) {
      heardAt = performance.now();
      const missing = new Set(expected);
      for (;;) {
        for (const topic of missing) if (messages.has(topic)) missing.delete(topic);
        const leftMs = heardAt + settleMs - performance.now();
        if (missing.size === 0 || leftMs <= 0) return;
        const woken = new AbortController();
        const lost = session.closed.then((error) => Promise.reject(error));
        lost.catch(() => undefined);
        try {
          await Promise.race([
            wake.promise,
            lost,
            wait(leftMs, undefined, { signal: AbortSignal.any([signal, woken.signal]) }),
          ]);
        } catch (error) {
          throw signal.aborted ? abandoned(signal.reason) : error;
        } finally {
          woken.abort();
        }
      }
    },
  };
}

/** A word of presence, as text or JSON. */
export function presenceWord(payload: Buffer): string | null {
  const text = payload.toString('utf8').trim();
  try {
    return PresenceWord.parse(/^[{["]/.test(text) ? parseJson(payload) : text);
  } catch {
    return null;
  }
}

function withPresence(device: Listed, payload: Buffer | undefined): Listed {
  const word = payload === undefined ? null : presenceWord(payload);
  return word === null ? device : { ...device, word, presence: PRESENCE.get(word.toLowerCase()) ?? 'unknown' };
}

/** The only thing that we publish: asks an edge to say again what it has. @see Sparkplug 3.0.0 section 6.4.20 */
export async function requestRebirth(session: MqttSession, group: string, edge: string, at: Date): Promise<void> {
  const metrics = [{ name: 'Node Control/Rebirth', value: true }];
  await session.publish(`spBv1.0/${group}/NCMD/${edge}`, encodeSparkplug({ at, seq: null, metrics }));
}

/** @throws AdapterError */
export async function surveyBroker(
  parts: DriverParts,
  source: MqttSource,
  known: ReadonlyMap<string, Listed>,
  wanted: ReadonlySet<string> | null,
  signal: AbortSignal,
): Promise<readonly Listed[]> {
  const { catalogue, connections, integrationId } = parts;
  const { timeoutMs, settleMs } = catalogue.settings;
  const snapshot = createSnapshot();
  const session = await openMqtt({
    http: connections.clientOf(source),
    // Another one at the same time must not throw this one out.
    clientId: `cg-${integrationId}-${source.id}-${crypto.randomUUID().slice(0, 8)}`,
    isKept: false,
    login: connections.loginOf(source),
    signal,
    timeoutMs,
    onMessage: snapshot.take,
  });
  const want = (device: Listed): boolean => wanted === null || wanted.has(device.nativeId);
  // A device that was listed before is asked for by its topic; the whole list is only read for what is not known.
  const isAllKnown = wanted !== null && [...wanted].every((nativeId) => known.has(nativeId));
  try {
    const tasmota = tasmotaSensors(catalogue, source).map((sensor) => {
      const { lwt } = tasmotaTopics(source.tasmota[0]?.fullTopic ?? '', sensor.address);
      return { device: configuredAt(catalogue, source, sensor, 'tasmota', lwt), topic: lwt };
    });
    const frigate = source.frigate.map((part) => ({
      device: frigateDevice(catalogue, source, part),
      topic: `${part.prefix}/available`,
    }));
    const fixed = [...tasmota, ...frigate].filter(({ device }) => want(device));
    const bridges = source.zigbee2mqtt.flatMap(({ base }) => [
      `${base}/bridge/state`,
      ...(isAllKnown ? [] : [`${base}/bridge/devices`]),
    ]);
    const told = isAllKnown ? [...known.values()].filter((device) => want(device) && isZigbeeDevice(device)) : [];
    const first = [...fixed.map(({ topic }) => topic), ...bridges, ...told.map(availabilityOf)];
    if (first.length > 0) await session.subscribe(first);
    const births = await askEdges(parts, source, session, wanted);
    await snapshot.complete(session, [...first, ...births.expected], settleMs, signal);

    let zigbee: readonly Listed[] = told;
    let rejected = 0;
    const networks = source.zigbee2mqtt.map(({ base, site }) => {
      const list = isAllKnown ? undefined : snapshot.messages.get(`${base}/bridge/devices`);
      if (list === undefined && !isAllKnown)
        throw new AdapterError('UNREACHABLE', `the bridge at ${base} retains no list of devices`);
      const network = readNetwork(parts, source, base, site, list);
      rejected += network.rejected;
      return { ...network, bridge: withPresence(network.bridge, snapshot.messages.get(`${base}/bridge/state`)) };
    });
    if (!isAllKnown) {
      zigbee = networks.flatMap(({ devices }) => devices).filter(want);
      const topics = zigbee.map(availabilityOf);
      if (topics.length > 0) {
        await session.subscribe(topics);
        await snapshot.complete(session, topics, settleMs, signal);
      }
    }
    if (rejected > 0)
      parts.logger.warn({ source: source.id, rejected }, 'Entries of a list of Zigbee devices cannot be read');
    const fallen = new Set(
      networks.filter(({ bridge }) => bridge.presence === 'offline').map(({ bridge }) => bridge.nativeId),
    );
    return [
      ...networks.map(({ bridge }) => bridge),
      ...zigbee.map((device) =>
        underParent(withPresence(device, snapshot.messages.get(availabilityOf(device))), fallen),
      ),
      ...fixed.map(({ device, topic }) => withPresence(device, snapshot.messages.get(topic))),
      ...edgesIn(parts, source, snapshot.messages, births.isAsked),
      ...source.onvif.map((part) => onvifPusher(catalogue, source, part)),
    ].filter(want);
  } finally {
    session.end();
  }
}

function readNetwork(
  parts: DriverParts,
  source: MqttSource,
  base: string,
  site: string | undefined,
  list: Buffer | undefined,
) {
  try {
    const payload = list === undefined ? [] : parseJson(list, { maxKeys: MAX_LIST_KEYS });
    return zigbeeNetwork(parts.catalogue, source, base, site, payload);
  } catch {
    throw new AdapterError('BAD_PAYLOAD', `the list of devices at ${base} cannot be read`);
  }
}

function isZigbeeDevice({ protocol, isGateway }: Listed): boolean {
  return protocol === 'mqtt/zigbee2mqtt' && !isGateway;
}

function availabilityOf({ topic }: Listed): string {
  return `${topic ?? ''}/availability`;
}

/** What a bridge retained of a device is no word on it when the bridge itself is gone. */
function underParent(device: Listed, fallen: ReadonlySet<string>): Listed {
  if (device.parentId === null || !fallen.has(device.parentId)) return device;
  return { ...device, presence: 'unknown', word: 'parent offline', isParentDown: true };
}

async function askEdges(
  parts: DriverParts,
  source: MqttSource,
  session: MqttSession,
  wanted: ReadonlySet<string> | null,
) {
  const isAsked =
    source.allowRebirth &&
    source.sparkplug.length > 0 &&
    (wanted === null || [...wanted].some((id) => isSparkplugId(source, id)));
  if (!isAsked) return { isAsked, expected: [] };
  const topics = source.sparkplug.flatMap(({ group, edges }) =>
    edges.flatMap((edge) => [
      `spBv1.0/${group}/NBIRTH/${edge}`,
      `spBv1.0/${group}/DBIRTH/${edge}/+`,
      `spBv1.0/${group}/NDEATH/${edge}`,
    ]),
  );
  await session.subscribe(topics);
  for (const { group, edges } of source.sparkplug)
    for (const edge of edges) await requestRebirth(session, group, edge, parts.now());
  const expected = source.sparkplug.flatMap(({ group, edges }) =>
    edges.flatMap((edge) => [
      `spBv1.0/${group}/NBIRTH/${edge}`,
      ...parts.catalogue
        .sensorsOf(source.id)
        .filter(({ address }) => address.startsWith(`${group}/${edge}/`))
        .map(({ address }) => `spBv1.0/${group}/DBIRTH/${address.slice(group.length + 1)}`),
    ]),
  );
  return { isAsked, expected };
}

export function isSparkplugId(source: MqttSource, nativeId: string): boolean {
  return source.sparkplug.some(({ group }) => nativeId.startsWith(`${source.id}/${group}/`));
}

/** Edges and their devices: born just now, or not heard of. What does not answer is not there. */
function edgesIn(
  { catalogue }: DriverParts,
  source: MqttSource,
  messages: ReadonlyMap<string, Buffer>,
  isAsked: boolean,
): readonly Listed[] {
  const born = new Set<string>();
  for (const topic of messages.keys()) {
    const parsed = parseSparkplugTopic(topic);
    if (parsed?.type.endsWith('BIRTH') === true)
      born.add([parsed.group, parsed.edge, parsed.device].filter((part) => part !== null).join('/'));
  }
  const state = (device: Listed): Listed => {
    if (!isAsked) return device;
    return born.has(device.address)
      ? { ...device, presence: 'online', word: 'BIRTH' }
      : { ...device, presence: 'offline', word: 'no birth' };
  };
  return source.sparkplug.flatMap(({ group, edges, site }) =>
    edges.flatMap((edge) => {
      const prefix = `${group}/${edge}/`;
      const listed = catalogue.sensorsOf(source.id).map(({ address }) => address);
      const names = new Set(
        [...born, ...listed]
          .filter((address) => address.startsWith(prefix))
          .map((address) => address.slice(prefix.length)),
      );
      const devices = [...names].map((name) => sparkplugDevice(catalogue, source, group, edge, name, site));
      return [edgeDevice(catalogue, source, group, edge, site), ...devices].map(state);
    }),
  );
}
