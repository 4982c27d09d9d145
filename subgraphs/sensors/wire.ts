/**
 * What the platforms send, in their own words; members that we do not use are left out.
 *
 * @see zigbee2mqtt.io "MQTT topics and messages"; docs.frigate.video "MQTT"; tasmota.github.io "MQTT"
 */
import { z } from 'zod';

const Expose = z.looseObject({
  name: z.string().optional(),
  property: z.string().optional(),
  features: z.array(z.looseObject({ name: z.string().optional() })).optional(),
});

/** One entry of `<base>/bridge/devices`. */
export const ZigbeeDevice = z.object({
  ieee_address: z.string().regex(/^0x[0-9a-fA-F]{1,16}$/),
  type: z.string(),
  friendly_name: z.string().min(1).max(500),
  supported: z.boolean().nullish(),
  disabled: z.boolean().nullish(),
  definition: z
    .object({ model: z.string().nullish(), vendor: z.string().nullish(), exposes: z.array(Expose).nullish() })
    .nullish(),
  power_source: z.string().nullish(),
  model_id: z.string().nullish(),
  manufacturer: z.string().nullish(),
  software_build_id: z.string().nullish(),
});
export type ZigbeeDevice = z.infer<typeof ZigbeeDevice>;

/** Legacy text or JSON; both are in the field. */
export const PresenceWord = z.union([
  z.string().max(100),
  z.object({ state: z.string().max(100) }).transform(({ state }) => state),
]);

const finite = z.number().refine(Number.isFinite);
/** An old firmware sent `"100.00"`. */
export const LooseNumber = z.union([finite, z.string().max(30).transform(Number).pipe(finite)]);

const FrigateObject = z.looseObject({
  id: z.string().min(1).max(200),
  camera: z.string().max(200),
  label: z.string().max(100),
  score: z.number().nullish(),
  top_score: z.number().nullish(),
  false_positive: z.boolean().nullish(),
  frame_time: z.number().nullish(),
  start_time: z.number(),
  end_time: z.number().nullish(),
  box: z.array(z.number()).max(8).nullish(),
});

/** `frigate/events` */
export const FrigateEvent = z.object({
  type: z.enum(['new', 'update', 'end']),
  before: FrigateObject.nullish(),
  after: FrigateObject,
});

/** An ONVIF message, from a pull-point or from a broker. Values are text on the one, typed on the other. */
const Items = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));
export const OnvifJson = z.object({
  UtcTime: z.string().max(64).optional(),
  Source: Items.default({}),
  Data: Items.default({}),
});
export type OnvifItems = z.infer<typeof Items>;
