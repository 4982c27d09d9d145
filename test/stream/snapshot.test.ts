import { expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../storage/database.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { overWebSocket } from './clients.ts';
import { type Happening, type House, openHouse } from './house.ts';

// A snapshot and a stream that goes on from it, while somebody writes at the worst moments.

const EVENTS = `query ($device: ID!) {
  events(first: 500) { asOfCursor totalCount nodes { vendorEventId } }
  device(id: $device) { events(first: 500) { ...Place nodes { vendorEventId } } }
}
fragment Place on EventConnection { ... { place: asOfCursor } }`;

const DEVICES = [
  '{ devices(first: 500) { asOfCursor nodes { id status { state } } } }',
  '{ org(id: "org_a") { devices { asOfCursor nodes { id status { state } } } } }',
  '{ site(id: "site_a") { devices { asOfCursor nodes { id status { state } } } } }',
];

const FEED = `subscription ($after: String, $filter: EventFilter) { events(after: $after, filter: $filter) {
  __typename ... on EventDelivered { event { vendorEventId device { id } ... on HealthEvent { state } } } } }`;

const CHANGES = 'subscription ($after: String) { deviceStatusChanged(after: $after) { device { id } current } }';

const camera = deviceId('int_a', 'cam-1');

async function ask(house: House, query: string, variables: Record<string, unknown> = {}) {
  const response = await fetch(`${house.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await house.token()}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = Object(await response.json());
  expect(errors).toBeUndefined();
  return data;
}

eachEngine('snapshot', (openDb) => {
  /** Writes whenever somebody asks for the head: just before, and just after it was read. */
  async function open() {
    const db = await openDb();
    let isBusy = false;
    let count = 0;
    const write = async (device: string): Promise<void> => {
      count += 1;
      await house.happen({ state: 'OFFLINE', changed: 1, device } satisfies Happening);
    };
    const busy: Database = {
      ...db,
      async head() {
        if (isBusy) await write('cam-1');
        const head = await db.head();
        if (isBusy) await write('cam-2');
        return head;
      },
    };
    const house = await openHouse(busy);
    onTestFinished(() => house.close());
    return {
      house,
      during: <T>(job: () => Promise<T>): Promise<T> => {
        isBusy = true;
        return job().finally(() => {
          isBusy = false;
        });
      },
      written: () => count,
    };
  }

  const ids = (nodes: readonly { vendorEventId: string }[]): string[] =>
    nodes.map(({ vendorEventId }) => vendorEventId);
  const byNumber = (a: string, b: string): number => Number(a.slice(1)) - Number(b.slice(1));

  it('of events, and the stream after its cursor, are the log: nothing is missing and nothing twice', async () => {
    const { house, during, written } = await open();
    await house.happen({}, {});
    const data = await during(() => ask(house, EVENTS, { device: camera }));
    await house.happen({});
    expect(written()).toBeGreaterThan(1);
    const log = await house.db.read.selectFrom('events').select(['vendor_event_id', 'device_id']).execute();
    const lists = [
      [data.events.asOfCursor, data.events.nodes, {}],
      [data.device.events.place, data.device.events.nodes, { deviceIds: [camera] }],
    ] as const;
    expect(data.events.totalCount).toBe(data.events.nodes.length);
    for (const [after, nodes, filter] of lists) {
      const all = log.filter(({ device_id }) => !('deviceIds' in filter) || device_id === camera);
      const variables = { after, filter };
      const feed = overWebSocket({ url: house.url, token: await house.token(), query: FEED, variables });
      const delivered = () =>
        feed.items.flatMap((item) => Object(item).data.events.event?.vendorEventId ?? []) as string[];
      await feed.until(() => delivered().includes(`e${log.length}`));
      expect([...ids(nodes), ...delivered()].toSorted(byNumber)).toEqual(
        all.map(({ vendor_event_id }) => vendor_event_id ?? '').toSorted(byNumber),
      );
      feed.cut();
    }
  });

  it.each(DEVICES)('%s and the changes after it end in the state that the devices have', async (query) => {
    const { house, during } = await open();
    const data = await during(() => ask(house, query));
    // The marker is of another device: it must not mend what was missed.
    await house.happen({ changed: 1, state: 'DEGRADED', device: 'cam-2' });
    const list = data.devices ?? data.org?.devices ?? data.site.devices;
    const states = new Map<string, string>(
      list.nodes.map(({ id, status }: { id: string; status: { state: string } }) => [id, status.state]),
    );
    const variables = { after: list.asOfCursor };
    const changes = overWebSocket({ url: house.url, token: await house.token(), query: CHANGES, variables });
    const changed = () => changes.items.map((item) => Object(item).data.deviceStatusChanged);
    await changes.until(() => changed().some(({ current }) => current === 'DEGRADED'));
    for (const { device, current } of changed()) states.set(device.id, current);
    changes.cut();
    const now = await ask(house, '{ devices { nodes { id status { state } } } }');
    const truth = new Map<string, string>(
      now.devices.nodes
        .filter(({ id }: { id: string }) => states.has(id))
        .map(({ id, status }: { id: string; status: { state: string } }) => [id, status.state]),
    );
    expect(states).toEqual(truth);
  });

  it('of anything else can be taken after asking where the stream stands', async () => {
    const { house } = await open();
    await house.happen({}, {});
    const { streamCursor } = await ask(house, '{ streamCursor }');
    expect(house.placeOf(streamCursor)).toMatchObject({ seq: 2, epoch: house.db.epoch });
  });

  it('costs nothing where nobody asks for its place', async () => {
    const { house, during, written } = await open();
    await during(() => ask(house, '{ events { totalCount nodes { id } } devices { nodes { id } } }'));
    expect(written()).toBe(0);
  });
});
