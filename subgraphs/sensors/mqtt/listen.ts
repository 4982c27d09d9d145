// What a broker passes on while we listen: routed to the device that it is about.
import { AdapterError } from '../../../adapter-kit/adapter-error.ts';
import { parseJson } from '../../../adapter-kit/json-guard.ts';
import type { Listed } from '../catalogue.ts';
import { decodeSparkplug } from '../dialects/sparkplug-payload.ts';
import { parseSparkplugTopic, type SparkplugTopic } from '../dialects/sparkplug.ts';
import { tasmotaTopics } from '../dialects/tasmota.ts';
import type { DriverParts } from '../driver.ts';
import { aliasesIn } from '../read.ts';
import type { MqttSource } from '../settings.ts';
import type { Sink } from '../sink.ts';
import {
  configuredAt,
  edgeDevice,
  frigateDevice,
  onvifPusher,
  sparkplugDevice,
  tasmotaSensors,
  type ZigbeeNetwork,
  zigbeeNetwork,
} from './devices.ts';
import { type MqttMessage, type MqttSession, openMqtt } from './session.ts';
import { requestRebirth } from './survey.ts';

const MAX_LIST_KEYS = 2_000_000;
/** Retained messages of devices whose list has not come yet. */
const MAX_EARLY = 20_000;
/** Repeats are recognised against the last message of so many topics. */
const MAX_LAST = 20_000;
const MAX_ALIASES = 20_000;

/** What an edge said at its birth. */
interface Edge {
  readonly device: Listed;
  readonly devices: Map<string, Listed>;
  readonly aliases: Map<string, string>;
  bdSeq: string | null;
  seq: number | null;
}

type Route = (message: MqttMessage) => Promise<void>;

/** @throws AdapterError when the connection is lost */
export async function listenBroker(
  parts: DriverParts,
  source: MqttSource,
  sink: Sink,
  onUp: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { connections, catalogue, integrationId } = parts;
  let session: MqttSession | null = null;
  const router = createRouter(parts, source, sink, (group, edge) => {
    if (source.allowRebirth && session !== null)
      void requestRebirth(session, group, edge, parts.now()).catch(() => undefined);
  });
  session = await openMqtt({
    http: connections.clientOf(source),
    // The broker keeps what comes while we are away for this name.
    clientId: `cg-${integrationId}-${source.id}`,
    isKept: true,
    login: connections.loginOf(source),
    signal,
    timeoutMs: catalogue.settings.timeoutMs,
    onMessage: router.take,
  });
  try {
    await session.subscribe(router.filters);
    if (source.allowRebirth)
      for (const { group, edges } of source.sparkplug)
        for (const edge of edges) await requestRebirth(session, group, edge, parts.now());
    onUp();
    const lost = await session.closed;
    if (!signal.aborted) throw lost;
  } finally {
    session.end();
  }
}

export interface Router {
  readonly filters: readonly string[];
  readonly take: (message: MqttMessage) => Promise<void>;
}

/** @param onUnknown an edge speaks of what we did not hear it be born with */
export function createRouter(
  parts: DriverParts,
  source: MqttSource,
  sink: Sink,
  onUnknown: (group: string, edge: string) => void,
): Router {
  const { catalogue, logger } = parts;
  const exact = new Map<string, Route>();
  const prefixed: { readonly prefix: string; readonly route: Route }[] = [];
  const last = new Map<string, Buffer>();
  const sourceId = source.id;

  function fixed(device: Listed, dialect: 'tasmota' | 'frigate', topics: readonly string[]): void {
    for (const topic of topics)
      exact.set(topic, (message) =>
        sink.deliver({
          dialect,
          sourceId,
          address: topic,
          device,
          payload: message.payload,
          isInitial: message.isRetained,
        }),
      );
  }

  for (const sensor of tasmotaSensors(catalogue, source)) {
    const { lwt, filters } = tasmotaTopics(source.tasmota[0]?.fullTopic ?? '', sensor.address);
    fixed(configuredAt(catalogue, source, sensor, 'tasmota', lwt), 'tasmota', filters);
  }
  for (const part of source.frigate)
    fixed(frigateDevice(catalogue, source, part), 'frigate', [`${part.prefix}/available`, `${part.prefix}/events`]);
  const fixedFilters = [...exact.keys()];
  for (const part of source.onvif) {
    const device = onvifPusher(catalogue, source, part);
    prefixed.push({
      prefix: `${part.prefix}/onvif-ej/`,
      // A property that is deleted has an empty payload and no state.
      route: async ({ topic, payload, isRetained }) => {
        if (payload.length > 0)
          await sink.deliver({
            dialect: 'onvif-json',
            sourceId,
            address: topic,
            device,
            payload,
            isInitial: isRetained,
          });
      },
    });
  }
  for (const { base, site } of source.zigbee2mqtt)
    prefixed.push({ prefix: `${base}/`, route: zigbeeRoute(parts, source, sink, base, site) });
  if (source.sparkplug.length > 0)
    prefixed.push({ prefix: 'spBv1.0/', route: sparkplugRoute(parts, source, sink, onUnknown) });

  return {
    filters: [
      ...fixedFilters,
      ...source.onvif.map(({ prefix }) => `${prefix}/onvif-ej/#`),
      ...source.zigbee2mqtt.map(({ base }) => `${base}/#`),
      ...source.sparkplug.flatMap(({ group, edges }) =>
        edges.flatMap((edge) => [`spBv1.0/${group}/+/${edge}`, `spBv1.0/${group}/+/${edge}/+`]),
      ),
    ],
    async take(message) {
      // Sent again because our acknowledgement was lost: it was taken the first time.
      if (message.isRepeat && last.get(message.topic)?.equals(message.payload) === true) return;
      if (last.size >= MAX_LAST) last.clear();
      last.set(message.topic, message.payload);
      const route = exact.get(message.topic) ?? prefixed.find(({ prefix }) => message.topic.startsWith(prefix))?.route;
      try {
        await route?.(message);
      } catch (error) {
        if (error instanceof AdapterError) throw error;
        logger.warn({ err: error, source: sourceId }, 'A message of a broker could not be handled');
      }
    },
  };
}

function zigbeeRoute(
  parts: DriverParts,
  source: MqttSource,
  sink: Sink,
  base: string,
  site: string | undefined,
): Route {
  const { catalogue, logger } = parts;
  let network: ZigbeeNetwork | null = null;
  const byTopic = new Map<string, Listed>();
  const early: MqttMessage[] = [];
  const deliver = async (message: MqttMessage, device: Listed): Promise<void> => {
    const { topic: address, payload, isRetained: isInitial } = message;
    await sink.deliver({ dialect: 'zigbee2mqtt', sourceId: source.id, address, device, payload, isInitial });
  };

  async function takeList(payload: Buffer): Promise<void> {
    try {
      network = zigbeeNetwork(catalogue, source, base, site, parseJson(payload, { maxKeys: MAX_LIST_KEYS }));
    } catch {
      return logger.warn({ source: source.id, base }, 'A list of Zigbee devices cannot be read');
    }
    byTopic.clear();
    for (const device of network.devices) byTopic.set(device.topic ?? '', device);
    for (const message of early.splice(0)) await route(message);
  }

  async function route(message: MqttMessage): Promise<void> {
    const { topic, payload, isRetained } = message;
    if (topic === `${base}/bridge/devices`) return takeList(payload);
    if (network === null) {
      if (early.length < MAX_EARLY) early.push(message);
      return;
    }
    if (topic === `${base}/bridge/state`) {
      const { bridge: device, devices: children } = network;
      await sink.deliver({
        dialect: 'zigbee2mqtt-bridge',
        sourceId: source.id,
        address: topic,
        device,
        payload,
        children,
        isInitial: isRetained,
      });
      return;
    }
    const device = byTopic.get(topic) ?? byTopic.get(topic.replace(/\/availability$/, ''));
    // Groups, requests to devices, and the bridge's own chatter.
    if (device !== undefined) await deliver(message, device);
  }
  return route;
}

function sparkplugRoute(
  parts: DriverParts,
  source: MqttSource,
  sink: Sink,
  onUnknown: (group: string, edge: string) => void,
): Route {
  const { catalogue } = parts;
  const edges = new Map<string, Edge>();

  function edgeOf({ group, edge }: SparkplugTopic): Edge {
    const key = `${group}/${edge}`;
    const known = edges.get(key);
    if (known !== undefined) return known;
    const site = source.sparkplug.find((part) => part.group === group)?.site;
    const made: Edge = {
      device: edgeDevice(catalogue, source, group, edge, site),
      devices: new Map(),
      aliases: new Map(),
      bdSeq: null,
      seq: null,
    };
    for (const { address } of catalogue.sensorsOf(source.id)) {
      const name = address.startsWith(`${key}/`) ? address.slice(key.length + 1) : null;
      if (name !== null) made.devices.set(name, sparkplugDevice(catalogue, source, group, edge, name, site));
    }
    edges.set(key, made);
    return made;
  }

  return async ({ topic, payload }) => {
    const parsed = parseSparkplugTopic(topic);
    if (parsed === null) return;
    const edge = edgeOf(parsed);
    const { seq, metrics } = decodeSparkplug(payload);
    const isBirth = parsed.type.endsWith('BIRTH');
    const bdSeq = metrics.find(({ name }) => name === 'bdSeq');
    // A will of an earlier session: the edge has been born again since.
    if (parsed.type === 'NDEATH' && edge.bdSeq !== null && String(bdSeq?.value) !== edge.bdSeq) return;
    if (parsed.type === 'NBIRTH') {
      edge.bdSeq = bdSeq === undefined ? null : String(bdSeq.value);
      edge.aliases.clear();
    }
    if (isBirth)
      for (const { name, alias } of metrics)
        if (name !== null && alias !== null && edge.aliases.size < MAX_ALIASES) edge.aliases.set(alias, name);
    const isGap = seq !== null && edge.seq !== null && parsed.type !== 'NBIRTH' && seq !== (edge.seq + 1) % 256;
    if (parsed.type !== 'NDEATH') edge.seq = seq;
    const isUnknown = metrics.some(({ name, alias }) => name === null && (alias === null || !edge.aliases.has(alias)));
    if ((isGap || isUnknown) && !isBirth && parsed.type !== 'NDEATH') onUnknown(parsed.group, parsed.edge);
    const site = source.sparkplug.find(({ group }) => group === parsed.group)?.site;
    const own =
      parsed.device === null
        ? edge.device
        : (edge.devices.get(parsed.device) ??
          sparkplugDevice(catalogue, source, parsed.group, parsed.edge, parsed.device, site));
    if (parsed.device !== null) edge.devices.set(parsed.device, own);
    await sink.deliver({
      dialect: 'sparkplug',
      sourceId: source.id,
      address: topic,
      device: own,
      payload,
      aliases: aliasesIn(payload, edge.aliases),
      children: parsed.type === 'NDEATH' ? [...edge.devices.values()] : [],
    });
  };
}
