// One message to readings, for the listener that looks for news and for the decoder that tells them. Pure.
import { z } from 'zod';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { type Catalogue, sourceIdOf } from './catalogue.ts';
import { readDetection } from './dialects/frigate.ts';
import { parseUtc, readOnvif } from './dialects/onvif-topics.ts';
import { decodeSparkplug, SparkplugError } from './dialects/sparkplug-payload.ts';
import { parseSparkplugTopic, readSparkplug } from './dialects/sparkplug.ts';
import { readLwt, readTelemetry } from './dialects/tasmota.ts';
import { readPresence, readState } from './dialects/zigbee2mqtt.ts';
import { type Envelope, parseBody, payloadOf } from './envelope.ts';
import { readValues } from './modbus/registers.ts';
import { readNotifications } from './onvif/notifications.ts';
import type { Reading } from './reading.ts';
import type { SensorSettings } from './settings.ts';
import { OnvifJson } from './wire.ts';
import { XmlError } from './onvif/xml.ts';

/** A gateway fell or came back: what follows for what is behind it. */
const Connection = z.object({ state: z.enum(['online', 'offline']), code: z.string().max(60) });
const ModbusPayload = z.object({
  values: z.record(z.string(), z.number()),
  state: z.enum(['online', 'offline']),
  code: z.string().max(60),
});

/** Everything that a message says. @throws DecodeError when it is not what its dialect sends */
export function readMessage(envelope: Envelope, catalogue: Catalogue): readonly Reading[] {
  try {
    const own = readOwn(envelope, catalogue);
    const readings = envelope.isInitial ? own.map((reading) => ({ ...reading, isInitial: true })) : own;
    return [...readings, ...readChildren(envelope, own)];
  } catch (error) {
    if (error instanceof z.ZodError) throw new DecodeError('SCHEMA', `this is not what ${envelope.dialect} sends`);
    if (error instanceof SparkplugError) throw new DecodeError('PARSE', error.message);
    if (error instanceof XmlError) throw new DecodeError('PARSE', error.message);
    throw error;
  }
}

/** Presence is told as bare text or JSON. */
function wordOrJson(text: string): unknown {
  return /^\s*[{["]/.test(text) ? parseBody(Buffer.from(text)) : text.trim();
}

function addressOf(envelope: Envelope): string {
  return envelope.device.nativeId.slice(sourceIdOf(envelope.device.nativeId).length + 1);
}

function readOwn(envelope: Envelope, catalogue: Catalogue): readonly Reading[] {
  const { device, address } = envelope;
  const payload = payloadOf(envelope);
  const text = payload.toString('utf8');
  const source = catalogue.source(envelope.source);
  const sensor: SensorSettings | undefined = catalogue.sensor(envelope.source, addressOf(envelope));
  switch (envelope.dialect) {
    case 'zigbee2mqtt-bridge':
      return [readPresence(device, wordOrJson(text))];
    case 'zigbee2mqtt':
      return address.endsWith('/availability')
        ? [readPresence(device, wordOrJson(text))]
        : readState(device, parseBody(payload));
    case 'tasmota':
      return address.endsWith('/LWT')
        ? [readLwt(device, text.trim())]
        : readTelemetry(device, sensor?.switches ?? [], parseBody(payload));
    case 'sparkplug': {
      const topic = parseSparkplugTopic(address);
      if (topic === null) throw new DecodeError('SCHEMA', 'this is no Sparkplug topic');
      return readSparkplug(device, topic, payload, envelope.aliases, sensor?.metrics ?? {});
    }
    case 'frigate': {
      if (address.endsWith('/available')) return [readPresence(device, wordOrJson(text))];
      const prefix = address.replace(/\/events$/, '');
      const part = source?.protocol === 'mqtt' ? source.frigate.find((each) => each.prefix === prefix) : undefined;
      return readDetection(device, part?.minScore ?? 0, parseBody(payload));
    }
    case 'onvif-json': {
      const message = OnvifJson.parse(parseBody(payload));
      const topic = (address.split('/onvif-ej/')[1] ?? '').replace(/\/&.*$/, '');
      const reading = readOnvif(
        { nativeId: device.nativeId, inputActiveWhen: true, keepPersonalData: false },
        { topic, at: parseUtc(message.UtcTime), isInitial: false, source: message.Source, data: message.Data },
      );
      return reading === null ? [] : [reading];
    }
    case 'onvif': {
      const wiring = source?.protocol === 'onvif' ? source : { inputActiveWhen: true, keepPersonalData: false };
      return readNotifications(text).flatMap((message) => {
        const reading = readOnvif({ ...wiring, nativeId: device.nativeId }, message);
        return reading === null ? [] : [reading];
      });
    }
    case 'modbus': {
      const { values, state, code } = ModbusPayload.parse(parseBody(payload));
      const presence: Reading = {
        nativeId: device.nativeId,
        point: 'device',
        signal: 'presence',
        value: state,
        word: code,
        occurredAt: null,
        metadata: { code },
      };
      return state === 'offline'
        ? [presence]
        : [presence, ...readValues(device.nativeId, sensor?.registers ?? [], values)];
    }
    case 'connection': {
      const { state, code } = Connection.parse(parseBody(payload));
      return [
        {
          nativeId: device.nativeId,
          point: 'device',
          signal: 'presence',
          value: state,
          word: code,
          occurredAt: null,
          metadata: { code },
        },
      ];
    }
    default:
      return envelope.dialect satisfies never;
  }
}

/** Without their parent nobody knows how they are, unless the protocol itself says that they are gone. */
function readChildren({ children, address, dialect }: Envelope, own: readonly Reading[]): readonly Reading[] {
  const [parent] = own;
  if (parent === undefined || parent.signal !== 'presence') return [];
  const isDeath = dialect === 'sparkplug' && parseSparkplugTopic(address)?.type === 'NDEATH';
  return children.map(([nativeId, , , before]): Reading => {
    const value = parent.value === 'online' ? before : isDeath ? 'offline' : 'unknown';
    const word = parent.value === 'online' ? before : `parent ${parent.word}`;
    // A death certificate is the device's own word, which its own birth takes back.
    const point = isDeath ? 'device' : 'parent';
    return {
      nativeId,
      point,
      signal: 'presence',
      value,
      word,
      occurredAt: null,
      metadata: { parent: parent.nativeId },
    };
  });
}

/** Names of the aliases that a payload uses, so that it can be read later. */
export function aliasesIn(payload: Buffer, known: ReadonlyMap<string, string>): Record<string, string> {
  const used: Record<string, string> = {};
  for (const { name, alias } of decodeSparkplug(payload).metrics) {
    const found = alias === null || name !== null ? undefined : known.get(alias);
    if (found !== undefined && alias !== null) used[alias] = found;
  }
  return used;
}
