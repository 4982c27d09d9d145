import { z } from 'zod';
import { commonSettings } from '../../adapter-kit/common-settings.ts';
import { POINT_SIGNALS, SENSOR_KINDS } from './words.ts';

/** More sites, sources and sensors than 64 KiB of settings hold; a number that people understand in an error. */
const MAX_SITES = 200;
const MAX_SOURCES = 100;
const MAX_SENSORS = 2_000;
const MAX_CAMERAS = 20;
const MAX_POINTS = 500;

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'letters, digits, dot, dash and underscore');
const text = z.string().min(1).max(200);
/** Part of an MQTT topic: no wildcards, which would listen to what nobody named. */
const topic = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^#+\0]+$/, 'a topic without wildcards')
  .refine((value) => !value.startsWith('/') && !value.endsWith('/'), 'no slash at its ends');
const host = z.string().regex(/^[A-Za-z0-9:.-]{1,253}$/, 'a host name or an address');
const port = z.int().min(1).max(65_535);
const kind = z.enum(SENSOR_KINDS);
/** Path into a JSON body: `reading.items.0.id`. */
const path = z
  .string()
  .max(200)
  .regex(/^[^.]+(\.[^.]+)*$/, 'names with dots between them');

const place = {
  id,
  name: text.optional(),
  /** Site of everything behind it that names no other; default: the first of `sites`. */
  site: id.optional(),
  /** Tell alarms that stand when we listen for the first time ever; default: they are state, not events. */
  raiseOnInitialAlarm: z.boolean().default(false),
};
/** Without a host it is the one of the integration's address; without a port that address's, or the usual one. */
const address = { host: host.optional(), port: port.optional(), tls: z.boolean().optional() };

const Mqtt = z.strictObject({
  ...place,
  ...address,
  protocol: z.literal('mqtt'),
  /** Ask edges for a rebirth when we do not know their metrics: the only thing that we ever publish. */
  allowRebirth: z.boolean().default(false),
  zigbee2mqtt: z.array(z.strictObject({ base: topic.default('zigbee2mqtt'), site: id.optional() })).default([]),
  tasmota: z
    .array(z.strictObject({ fullTopic: text.default('%prefix%/%topic%/') }))
    .max(1)
    .default([]),
  sparkplug: z
    .array(z.strictObject({ group: topic, edges: z.array(topic).min(1).max(100), site: id.optional() }))
    .default([]),
  frigate: z
    .array(
      z.strictObject({
        prefix: topic.default('frigate'),
        minScore: z.number().min(0).max(1).default(0.6),
        site: id.optional(),
      }),
    )
    .default([]),
  /** Topic prefixes of ONVIF devices that push their events to the broker. */
  onvif: z.array(z.strictObject({ prefix: topic, site: id.optional(), kind: kind.default('motion') })).default([]),
});
export type MqttSource = z.infer<typeof Mqtt>;

const Onvif = z.strictObject({
  ...place,
  ...address,
  protocol: z.literal('onvif'),
  path: z.string().startsWith('/').max(200).default('/onvif/device_service'),
  /** What its digital inputs are wired to, and what the device is for. */
  kind: kind.default('motion'),
  /** The logical state of an input that means active: wiring decides. */
  inputActiveWhen: z.boolean().default(true),
  /** Names of people and numbers of cards are personal data: dropped unless asked for. */
  keepPersonalData: z.boolean().default(false),
});
export type OnvifSource = z.infer<typeof Onvif>;

const Modbus = z.strictObject({
  ...place,
  ...address,
  protocol: z.literal('modbus'),
  /** From the end of one poll to the start of the next, in milliseconds. */
  pollMs: z.int().min(50).max(60_000).default(1_000),
});
export type ModbusSource = z.infer<typeof Modbus>;

/** How a pushed JSON body is read. Everything is a path into it, except the constants. */
const Template = z.strictObject({
  /** Only bodies in which these paths have these values. */
  when: z.record(path, z.union([z.string(), z.number(), z.boolean()])).default({}),
  /** Which sensor: its `address`. */
  sensor: path,
  /** The list of readings, where one body has several; the other paths go into its items then. */
  items: path.optional(),
  signal: z.enum(['presence', ...POINT_SIGNALS, 'access', 'pos', 'detection', 'value']),
  /** The word that says what happened. */
  value: path.optional(),
  /** That word to ours: online/offline, active/clear, granted/denied/forced/held/…, transaction/void/refund/no_sale. */
  values: z.record(text, text).default({}),
  point: path.optional(),
  /** The sender's own id of the event: what makes a repetition one. */
  id: path.optional(),
  /** RFC 3339, or seconds or milliseconds since the epoch. */
  occurredAt: path.optional(),
  label: path.optional(),
  score: path.optional(),
  box: path.optional(),
  /** The receipt or message to keep as text. */
  text: path.optional(),
});
export type Template = z.infer<typeof Template>;

const Push = z.strictObject({
  ...place,
  ...address,
  protocol: z.literal('http'),
  templates: z.array(Template).max(50).default([]),
  /** Plain text (receipts) by words found in it, in this order; header `x-sensor` names the sensor. */
  textRules: z
    .array(z.strictObject({ contains: text, value: text }))
    .max(50)
    .default([]),
  /** A list of all its sensors with their presence, for senders that have one. */
  status: z
    .strictObject({
      path: z.string().startsWith('/').max(200),
      items: path,
      sensor: path,
      state: path,
      kind: path.optional(),
    })
    .optional(),
});
export type PushSource = z.infer<typeof Push>;

export type Source = MqttSource | OnvifSource | ModbusSource | PushSource;

/** A camera of any integration that watches the sensor. */
const Camera = z.strictObject({
  integrationId: z.string().max(100).optional(),
  /** Of the external id that `value` is, for example `vxg:device-id`; default: it is the native id. */
  namespace: text.optional(),
  value: text,
  name: text.optional(),
});

const Switch = z.strictObject({
  /** Member of the telemetry, for example `Switch1`. */
  key: text,
  activeWhen: z.string().max(50).default('ON'),
  signal: z.enum(POINT_SIGNALS).default('alarm'),
});
export type Switch = z.infer<typeof Switch>;

const Register = z.strictObject({
  name: text,
  table: z.enum(['coil', 'discrete', 'holding', 'input']),
  /** Counted from 0, as the wire does. */
  address: z.int().min(0).max(65_535),
  type: z.enum(['bit', 'u16', 's16', 'u32', 's32', 'f32']).default('bit'),
  /** Which word of a 32-bit value comes first. */
  wordOrder: z.enum(['high-first', 'low-first']).default('high-first'),
  /** One bit of a register, counted from the lowest. */
  bit: z.int().min(0).max(15).optional(),
  scale: z.number().default(1),
  /** Active at this value; absent: at anything but 0. */
  activeWhen: z.number().optional(),
  /** `value`: a measurement, told when asked for and no event. */
  signal: z.enum([...POINT_SIGNALS, 'value']).default('alarm'),
});
export type Register = z.infer<typeof Register>;

const Sensor = z.strictObject({
  source: id,
  /** What it is called there: IEEE address, Tasmota topic, `group/edge/device`, Modbus unit, key of a pushed body. */
  address: text,
  name: text.optional(),
  kind: kind.optional(),
  site: id.optional(),
  zone: text.optional(),
  manufacturer: text.optional(),
  model: text.optional(),
  serialNumber: text.optional(),
  cameras: z.array(Camera).max(MAX_CAMERAS).default([]),
  switches: z.array(Switch).max(MAX_POINTS).default([]),
  registers: z.array(Register).max(MAX_POINTS).default([]),
  /** Sparkplug metric names whose meaning our table does not have, or has wrong. */
  metrics: z.record(text, z.enum(POINT_SIGNALS)).default({}),
});
export type SensorSettings = z.infer<typeof Sensor>;

/** The list of sensors: where they are, what they speak, and which cameras see them. */
export const SensorsSettings = z
  .strictObject({
    ...commonSettings,
    sites: z
      .array(
        z.strictObject({
          id,
          name: text,
          address: text.optional(),
          timezone: z.string().max(64).optional(),
          latitude: z.number().min(-90).max(90).optional(),
          longitude: z.number().min(-180).max(180).optional(),
        }),
      )
      .min(1)
      .max(MAX_SITES),
    sources: z
      .array(z.discriminatedUnion('protocol', [Mqtt, Onvif, Modbus, Push]))
      .min(1)
      .max(MAX_SOURCES),
    sensors: z.array(Sensor).max(MAX_SENSORS).default([]),
    /** PEM of an authority to trust beside the public ones. */
    tlsCa: z.string().max(20_000).optional(),
    /** Deadline of one call or connection, in milliseconds. */
    timeoutMs: z.int().min(200).max(30_000).default(2_000),
    /** How long retained messages are waited for after the last one, in milliseconds. */
    settleMs: z.int().min(20).max(2_000).default(250),
    /** A sensor that reports without a change is passed on as a sign of life this often, in milliseconds. */
    lifeSignMs: z.int().min(10_000).max(86_400_000).default(900_000),
  })
  .superRefine((settings, context) => {
    const sites = new Set(settings.sites.map((site) => site.id));
    const sources = new Set(settings.sources.map((source) => source.id));
    const complain = (message: string, at: (string | number)[]): void =>
      context.addIssue({ code: 'custom', message, path: at });
    if (sites.size < settings.sites.length) complain('two sites have the same id', ['sites']);
    if (sources.size < settings.sources.length) complain('two sources have the same id', ['sources']);
    const known = new Set<string>();
    for (const [index, sensor] of settings.sensors.entries()) {
      if (!sources.has(sensor.source)) complain(`there is no source "${sensor.source}"`, ['sensors', index, 'source']);
      const key = `${sensor.source}/${sensor.address}`;
      if (known.has(key)) complain('two sensors have the same source and address', ['sensors', index, 'address']);
      known.add(key);
    }
    for (const [place, wanted] of sitesNamed(settings.sources, settings.sensors))
      if (!sites.has(wanted)) complain(`there is no site "${wanted}"`, place);
  });
export type SensorsSettings = z.infer<typeof SensorsSettings>;

function sitesNamed(
  sources: readonly Source[],
  sensors: readonly SensorSettings[],
): (readonly [(string | number)[], string])[] {
  const named: (readonly [(string | number)[], string])[] = [];
  const note = (at: (string | number)[], site: string | undefined): void => {
    if (site !== undefined) named.push([at, site]);
  };
  for (const [index, source] of sources.entries()) {
    note(['sources', index, 'site'], source.site);
    if (source.protocol !== 'mqtt') continue;
    for (const part of ['zigbee2mqtt', 'sparkplug', 'frigate', 'onvif'] as const)
      for (const [at, { site }] of source[part].entries()) note(['sources', index, part, at, 'site'], site);
  }
  for (const [index, { site }] of sensors.entries()) note(['sensors', index, 'site'], site);
  return named;
}
