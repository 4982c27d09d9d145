// What a broker's messages say there is: devices as listings and listeners need them. Pure.
import { type Catalogue, type Listed, listed, nativeIdOf } from '../catalogue.ts';
import { isCoordinator, kindOf, parseBridgeDevices } from '../dialects/zigbee2mqtt.ts';
import type { MqttSource, SensorSettings } from '../settings.ts';
import type { ZigbeeDevice } from '../wire.ts';

export interface ZigbeeNetwork {
  /** The bridge's own coordinator; made up from the base where a list has none. */
  readonly bridge: Listed;
  readonly devices: readonly Listed[];
  readonly rejected: number;
}

/** The list that a bridge retains, to devices. @throws ZodError */
export function zigbeeNetwork(
  catalogue: Catalogue,
  source: MqttSource,
  base: string,
  site: string | undefined,
  payload: unknown,
): ZigbeeNetwork {
  const { devices, rejected } = parseBridgeDevices(payload);
  const coordinator = devices.find(isCoordinator);
  const bridge = bridgeOf(catalogue, source, base, site, coordinator ?? null);
  const others = devices
    .filter((device) => !isCoordinator(device) && device.disabled !== true)
    .map((device) => zigbeeDevice(catalogue, source, base, site, bridge.nativeId, device));
  return { bridge, devices: others, rejected };
}

/** Named by its base: the coordinator's stick is replaced one day, and the bridge stays the same. */
export function bridgeOf(
  catalogue: Catalogue,
  source: MqttSource,
  base: string,
  site: string | undefined,
  device: ZigbeeDevice | null,
): Listed {
  const address = `${base}/bridge`;
  return listed({
    ...catalogue.at(source, address, site),
    name: `Zigbee2MQTT ${base}`,
    protocol: 'mqtt/zigbee2mqtt',
    vendorType: 'Coordinator',
    topic: `${base}/bridge/state`,
    isGateway: true,
    firmware: device?.software_build_id ?? null,
    externalIds: device === null ? [] : [{ namespace: 'zigbee:ieee', value: device.ieee_address }],
  });
}

function zigbeeDevice(
  catalogue: Catalogue,
  source: MqttSource,
  base: string,
  site: string | undefined,
  parentId: string,
  device: ZigbeeDevice,
): Listed {
  const { ieee_address: address, friendly_name: name, definition } = device;
  const { kind, word } = kindOf(device);
  return listed({
    ...catalogue.at(source, address, site),
    name,
    kind,
    parentId,
    protocol: 'mqtt/zigbee2mqtt',
    vendorType: word ?? device.type,
    // Names may have slashes: the topic is made from the name, never the name from the topic.
    topic: `${base}/${name}`,
    manufacturer: definition?.vendor ?? device.manufacturer ?? null,
    model: definition?.model ?? device.model_id ?? null,
    firmware: device.software_build_id ?? null,
    externalIds: [{ namespace: 'zigbee:ieee', value: address }],
  });
}

/** A sensor that the operator listed at a broker, which tells nothing of it by itself. */
export function configuredAt(
  catalogue: Catalogue,
  source: MqttSource,
  sensor: SensorSettings,
  dialect: string,
  topic: string,
): Listed {
  return listed({
    ...catalogue.at(source, sensor.address),
    protocol: `mqtt/${dialect}`,
    vendorType: sensor.kind ?? dialect,
    topic,
  });
}

export function frigateDevice(catalogue: Catalogue, source: MqttSource, part: MqttSource['frigate'][number]): Listed {
  return listed({
    ...catalogue.at(source, part.prefix, part.site),
    name: `Frigate ${part.prefix}`,
    kind: 'ai',
    protocol: 'mqtt/frigate',
    vendorType: 'frigate',
    topic: `${part.prefix}/events`,
    manufacturer: 'Frigate',
  });
}

export function edgeDevice(
  catalogue: Catalogue,
  source: MqttSource,
  group: string,
  edge: string,
  site: string | undefined,
): Listed {
  const address = `${group}/${edge}`;
  return listed({
    ...catalogue.at(source, address, site),
    name: `Edge ${edge}`,
    protocol: 'mqtt/sparkplug',
    vendorType: 'edge node',
    topic: `spBv1.0/${group}/+/${edge}`,
    isGateway: true,
  });
}

export function sparkplugDevice(
  catalogue: Catalogue,
  source: MqttSource,
  group: string,
  edge: string,
  device: string,
  site: string | undefined,
): Listed {
  const address = `${group}/${edge}/${device}`;
  const sensor = catalogue.sensor(source.id, address);
  return listed({
    ...catalogue.at(source, address, site),
    name: device,
    parentId: nativeIdOf(source.id, `${group}/${edge}`),
    protocol: 'mqtt/sparkplug',
    vendorType: sensor?.kind ?? 'device',
    topic: `spBv1.0/${group}/+/${edge}/${device}`,
  });
}

export function onvifPusher(catalogue: Catalogue, source: MqttSource, part: MqttSource['onvif'][number]): Listed {
  return listed({
    ...catalogue.at(source, part.prefix, part.site),
    name: part.prefix,
    kind: part.kind,
    protocol: 'mqtt/onvif',
    vendorType: part.kind,
    topic: `${part.prefix}/onvif-ej`,
  });
}

/** Sensors of a broker that no inventory and no birth tells of: those that speak Tasmota. */
export function tasmotaSensors(catalogue: Catalogue, source: MqttSource): readonly SensorSettings[] {
  if (source.tasmota.length === 0) return [];
  const prefixes = [
    ...source.frigate.map(({ prefix }) => prefix),
    ...source.onvif.map(({ prefix }) => prefix),
    ...source.zigbee2mqtt.map(({ base }) => `${base}/bridge`),
  ];
  return catalogue.sensorsOf(source.id).filter(({ address }) => {
    const isZigbee = /^0x[0-9a-fA-F]{1,16}$/.test(address);
    const isSparkplug = source.sparkplug.some(({ group }) => address.startsWith(`${group}/`));
    return !isZigbee && !isSparkplug && !prefixes.includes(address);
  });
}
