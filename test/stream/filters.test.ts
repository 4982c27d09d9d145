import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { overWebSocket } from './clients.ts';
import { type Happening, type House, openHouse } from './house.ts';

// A filter means the same wherever it stands: in a query, in a stream's replay from the log, and live from memory.

const FILTERS = 100;
const REPLAYED = 200;
const LIVE = 100;

const QUERY = 'query ($filter: EventFilter) { events(first: 500, filter: $filter) { nodes { vendorEventId } } }';
const FEED = `subscription ($filter: EventFilter, $after: String) { events(filter: $filter, after: $after, heartbeatSeconds: 1) {
  __typename ... on EventDelivered { event { vendorEventId } } ... on ReplayComplete { cursor } ... on StreamHeartbeat { cursor } } }`;

const FAMILIES = ['HEALTH', 'ALARM', 'ACCESS', 'VIDEO'] as const;
const KINDS = ['CAMERA', 'PANEL', 'RECORDER'] as const;
const TYPES = ['health.offline', 'health.online', 'access.granted', 'access.denied', 'accessory.low'] as const;
const flag = fc.constantFrom(0, 0, 0, 1);

const happening: fc.Arbitrary<Happening> = fc.record({
  org: fc.constantFrom('a', 'b'),
  device: fc.constantFrom('cam-1', 'cam-2'),
  device_type: fc.constantFrom(...KINDS),
  family: fc.constantFrom(...FAMILIES),
  type: fc.constantFrom(...TYPES),
  severity: fc.integer({ min: 0, max: 3 }),
  in_maintenance: flag,
  suppressed: flag,
  details: fc.constantFrom('{}', '{"actors":[{"kind":"person","confidence":null}]}'),
});

const some = <T>(values: readonly T[]) => fc.subarray([...values], { minLength: 1 });

const MEMBERS = {
  orgId: fc.constantFrom('org_a', 'org_b'),
  siteIds: some(['site_a', 'site_b']),
  deviceIds: some([deviceId('int_a', 'cam-1'), deviceId('int_a', 'cam-2'), deviceId('int_b', 'cam-1')]),
  deviceTypes: some(KINDS),
  integrationIds: some(['int_a', 'int_b']),
  families: some(FAMILIES),
  types: some(['access.*', 'health.offline', 'health.*', 'accessory.low']),
  minSeverity: fc.constantFrom('INFO', 'WARNING', 'CRITICAL'),
  actors: fc.constant(['person']),
  includeMaintenance: fc.boolean(),
  includeSuppressed: fc.boolean(),
};

/** With at most three members: more of them would leave nothing to compare. */
const filter = fc
  .tuple(fc.record(MEMBERS), fc.subarray(Object.keys(MEMBERS), { maxLength: 3 }))
  .map(([members, names]) => Object.fromEntries(Object.entries(members).filter(([name]) => names.includes(name))));

async function ask(house: House, variables: object): Promise<readonly string[]> {
  const response = await fetch(`${house.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await house.token()}` },
    body: JSON.stringify({ query: QUERY, variables }),
  });
  const { data, errors } = Object(await response.json());
  expect(errors).toBeUndefined();
  return data.events.nodes.map((node: { readonly vendorEventId: string }) => node.vendorEventId);
}

/** A subscriber, and what it was told so far. */
function follow(house: House, token: string, variables: object) {
  const told = { ids: [] as string[], isLive: false, upTo: 0, problem: null as unknown };
  const onItem = ({ data, errors }: { readonly data?: never; readonly errors?: unknown }): void => {
    if (errors !== undefined) told.problem = errors;
    const { __typename, event, cursor } = Object(Object(data).events);
    if (__typename === 'EventDelivered') told.ids.push(event.vendorEventId);
    if (__typename === 'ReplayComplete') told.isLive = true;
    if (__typename === 'StreamHeartbeat') told.upTo = house.placeOf(cursor).seq;
  };
  const options = { url: house.url, token, query: FEED, variables: { ...variables }, onItem };
  return { subscriber: overWebSocket(options), told };
}

eachEngine('filters', (open) => {
  it('give the same events to a query, to a replay, and live', async () => {
    const house = await openHouse(await open());
    onTestFinished(() => house.close());
    const sample = { seed: 20_261_120, numRuns: REPLAYED + LIVE };
    const happenings = fc.sample(happening, sample);
    const filters = [{}, ...fc.sample(filter, { ...sample, numRuns: FILTERS - 1 })];
    await house.happen(...happenings.slice(0, REPLAYED));
    const followers = await Promise.all(
      filters.map(async (each, at) => {
        const token = await house.token({}, { sub: `person ${at}` });
        return follow(house, token, { filter: each, after: house.cursorAt(0) });
      }),
    );
    await Promise.all(
      followers.map(({ subscriber, told }) => subscriber.until(() => told.isLive || told.problem !== null)),
    );
    const last = (await house.happen(...happenings.slice(REPLAYED))).at(-1) ?? 0;
    let matches = 0;
    for (const [at, { subscriber, told }] of followers.entries()) {
      await subscriber.until(() => told.upTo >= last || told.problem !== null);
      expect(told.problem).toBeNull();
      const numbers = (ids: readonly string[]) => ids.map((id) => Number(id.slice(1)));
      expect({ filter: filters[at], ids: numbers(told.ids) }).toEqual({
        filter: filters[at],
        ids: numbers(await ask(house, { filter: filters[at] })).toSorted((a, b) => a - b),
      });
      matches += told.ids.length;
      subscriber.cut();
    }
    // Most filters leave something, and most leave something out.
    expect(matches).toBeGreaterThan(FILTERS * 5);
    expect(matches).toBeLessThan((FILTERS * (REPLAYED + LIVE)) / 2);
  });
});
