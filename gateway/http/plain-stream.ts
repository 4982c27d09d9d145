import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { DEVICE_TYPES, EVENT_FAMILIES, EVENT_FORMATS, SEVERITIES } from '../../schema/words.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import type { Operations } from '../operations.ts';
import { Refusal } from '../refusal.ts';
import { lastEventId, type StreamFormat, type Subscriptions } from './subscriptions.ts';

// `GET /events/stream`: the event stream for those who speak no GraphQL. Each event is one JSON text in the chosen format
// with its cursor as the id; EventSource comes back with that by itself.
// @see HTML Living Standard, 9.2 "Server-sent events"

const DOCUMENT = `subscription EventStream($filter: EventFilter, $after: String, $heartbeatSeconds: Int, $format: EventFormat!) {
  events(filter: $filter, after: $after, heartbeatSeconds: $heartbeatSeconds) {
    __typename
    ... on EventDelivered { event { as(format: $format) } }
    ... on ReplayComplete { replayedCount }
    ... on StreamHeartbeat { at }
    ... on StreamGap { fromCursor toCursor reason hint }
  }
}`;

const Item = z.object({
  data: z.object({
    events: z.looseObject({ __typename: z.string(), event: z.object({ as: z.string() }).optional() }),
  }),
});

const NAMES: ReadonlyMap<string, string> = new Map([
  ['EventDelivered', 'message'],
  ['ReplayComplete', 'replay-complete'],
  ['StreamHeartbeat', 'heartbeat'],
  ['StreamGap', 'gap'],
]);

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
const texts = z.array(z.string().min(1));
/** What stands in the address, as lists: a name may be given several times, or once with commas. */
export const StreamParameters = z.strictObject({
  orgId: z.tuple([z.string().min(1)]).optional(),
  siteIds: texts.optional(),
  deviceIds: texts.optional(),
  deviceTypes: z.array(z.enum(DEVICE_TYPES)).optional(),
  integrationIds: texts.optional(),
  families: z.array(z.enum(EVENT_FAMILIES)).optional(),
  types: texts.optional(),
  minSeverity: z.tuple([z.enum(SEVERITIES)]).optional(),
  actors: texts.optional(),
  'occurredAt.gte': z.tuple([z.iso.datetime({ offset: true })]).optional(),
  'occurredAt.lt': z.tuple([z.iso.datetime({ offset: true })]).optional(),
  includeMaintenance: z.tuple([flag]).optional(),
  includeSuppressed: z.tuple([flag]).optional(),
  after: z.tuple([z.string().min(1)]).optional(),
  heartbeatSeconds: z
    .tuple([
      z
        .string()
        .regex(/^\d{1,3}$/)
        .transform(Number),
    ])
    .optional(),
  format: z.tuple([z.enum(EVENT_FORMATS)]).optional(),
});

/** @throws Refusal `BAD_REQUEST` naming every parameter that is unknown or unusable */
function variablesOf({ searchParams }: URL): Readonly<Record<string, unknown>> {
  const given = Object.fromEntries(
    [...new Set(searchParams.keys())].map((name) => [
      name,
      searchParams.getAll(name).flatMap((value) => value.split(',').map((part) => part.trim())),
    ]),
  );
  const parsed = StreamParameters.safeParse(given);
  if (!parsed.success) {
    const names = parsed.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys' ? issue.keys : [String(issue.path[0])],
    );
    throw new Refusal(400, 'BAD_REQUEST', `Not understood: ${[...new Set(names)].join(', ').slice(0, 200)}.`);
  }
  const { data } = parsed;
  const { after, heartbeatSeconds, format, orgId, minSeverity, includeMaintenance, includeSuppressed, ...rest } = data;
  const { 'occurredAt.gte': gte, 'occurredAt.lt': lt, ...lists } = rest;
  const filter = {
    ...lists,
    orgId: orgId?.[0],
    minSeverity: minSeverity?.[0],
    includeMaintenance: includeMaintenance?.[0],
    includeSuppressed: includeSuppressed?.[0],
    ...(gte === undefined && lt === undefined ? {} : { occurredAt: { gte: gte?.[0], lt: lt?.[0] } }),
  };
  return {
    filter: Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)),
    after: after?.[0] ?? null,
    ...(heartbeatSeconds === undefined ? {} : { heartbeatSeconds: heartbeatSeconds[0] }),
    format: format?.[0] ?? 'NATIVE',
  };
}

function createFormat(): StreamFormat {
  // Members of a group get the very same string: it is read once for all of them.
  let last: string | null = null;
  let said: { readonly name: string; readonly data: string } | null = null;

  function read(text: string): NonNullable<typeof said> {
    const item = Item.safeParse(JSON.parse(text));
    // An item with an error has no event that could be told.
    if (!item.success) return { name: 'error', data: text };
    const { __typename, event, ...rest } = item.data.data.events;
    return { name: NAMES.get(__typename) ?? 'message', data: event?.as ?? JSON.stringify(rest) };
  }

  return {
    item(stream, text, cursor) {
      if (said === null || text !== last) {
        said = read(text);
        last = text;
      }
      stream.send(said.name, said.data, cursor);
    },
    failure: (stream, errors) => stream.send('error', JSON.stringify({ errors }), null),
    completion: () => undefined,
  };
}

/** Answers `GET /events/stream`. */
export type PlainStream = (
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  requestId: string,
) => Promise<void>;

export function createPlainStream({
  operations,
  authenticator,
  subscriptions,
}: {
  readonly operations: Operations;
  readonly authenticator: Authenticator;
  readonly subscriptions: Subscriptions;
}): PlainStream {
  const format = createFormat();
  return async (request, response, url, requestId) => {
    const principal = await authenticator.authenticate(request.headers.authorization);
    const params = { query: DOCUMENT, operationName: null, variables: variablesOf(url) };
    const admitted = operations.admit(params);
    subscriptions.open(
      response,
      { principal, requestId },
      format,
      (sink, signal) =>
        operations.subscribe(params, admitted, { principal, requestId, signal }, sink, lastEventId(request)),
      { isFinished: false },
    );
  };
}
