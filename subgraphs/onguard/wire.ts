/**
 * What OpenAccess sends, in its own words. Objects of `/instances` come wrapped in `property_value_map`, other endpoints
 * send flat records, and some releases mix the two: both are taken everywhere.
 *
 * @see LenelS2 OpenAccess, service descriptions of 7.5 and 8.3; SignalR 2.x sources for the event bridge
 */
import { z } from 'zod';
import { type Properties, propertiesOf } from './properties.ts';

const count = z.int().nonnegative().nullish().catch(null);

export const WireVersion = z.object({ product_name: z.string().nullish(), product_version: z.string().nullish() });

export const WireLogin = z.object({
  session_token: z.string().min(1).max(4_096),
  /** With an offset; null when a release does not tell. */
  token_expiration_time: z.string().nullish().catch(null),
});

/** `code` decides; `message` is for people and may be translated. */
export const WireError = z.object({
  error: z.object({ code: z.string().max(200), message: z.string().nullish().catch(null) }),
});

export interface WirePage {
  readonly items: readonly Properties[];
  /** What the platform says the whole list has; null when it does not. */
  readonly total: number | null;
}

/** `item_list` is missing when nothing matches; other paged lists have a name of their own. */
const Envelope = z.object({
  total_items: count,
  item_list: z.array(z.unknown()).nullish(),
  segment_list: z.array(z.unknown()).nullish(),
});

/** Unwraps an item of any list. */
export function itemOf(item: unknown): unknown {
  const inner = propertiesOf(item).get('property_value_map');
  return typeof inner === 'object' && inner !== null ? inner : item;
}

export const WirePage = Envelope.transform(
  ({ total_items: total, item_list, segment_list }): WirePage => ({
    items: (item_list ?? segment_list ?? []).map((item) => propertiesOf(itemOf(item))),
    total: total ?? null,
  }),
);

/** A page of records that go on verbatim. */
export const WireRecords = Envelope.transform(({ total_items: total, item_list }) => ({
  records: (item_list ?? []).map(itemOf),
  total: total ?? null,
}));

export const WireMethodResult = z
  .object({ out_parameter_value_map: z.record(z.string(), z.unknown()).nullish() })
  .transform(({ out_parameter_value_map: map }) => propertiesOf(map ?? {}));

export const WireSegmentation = z
  .record(z.string(), z.unknown())
  .transform((record) => propertiesOf(record).get('segmentation_enabled') === true);

/** Goes back to the hub as it came. */
export const WireSubscription = z.looseObject({
  id: z.union([z.int(), z.string().min(1)]),
  description: z.string().nullish().catch(null),
  is_durable: z.boolean().nullish().catch(null),
});
export type WireSubscription = z.infer<typeof WireSubscription>;

export const WireNegotiation = z.object({
  ConnectionToken: z.string().min(1).max(8_192),
  TryWebSockets: z.boolean().nullish().catch(null),
  /** Seconds; null: no keep-alives. */
  KeepAliveTimeout: z.number().positive().nullish().catch(null),
  /** Seconds after which a long poll comes back by itself. */
  ConnectionTimeout: z.number().positive().nullish().catch(null),
});
export type WireNegotiation = z.infer<typeof WireNegotiation>;

const Invocation = z.object({ H: z.string(), M: z.string(), A: z.array(z.unknown()).nullish() });

/** One frame of the event bridge; `{}` is a keep-alive. */
export const WireFrame = z.object({
  /** Cursor. */
  C: z.string().nullish(),
  /** Calls of the server, or nothing. */
  M: z.array(Invocation).nullish(),
  /** 1: the connection is initialised. */
  S: z.int().nullish(),
  /** 1: the server asks us to connect again. */
  T: z.int().nullish(),
  /** Groups token. */
  G: z.string().nullish(),
  /** Id of the call that this answers. */
  I: z.union([z.string(), z.int()]).nullish(),
  R: z.unknown().optional(),
  E: z.string().nullish(),
  D: z.unknown().optional(),
});
export type WireFrame = z.infer<typeof WireFrame>;
export type WireInvocation = z.infer<typeof Invocation>;
