import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eventPredicate, type EventFilter } from '../../storage/event-log-filter.ts';
import { trimEvents } from '../../storage/event-log.ts';
import type { EventRow } from '../../storage/rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import type { AccessScope } from '../../schema/principal.ts';
import { overServerSentEvents, overWebSocket, type Subscriber } from './clients.ts';
import { type House, openHouse } from './house.ts';

// Whatever is cut, restarted, broken, trimmed or restored, and in whatever order: each client is delivered the log,
// restricted to what it may see and asked for, without gap, without double, in order; what is gone is told.

const CLIENTS = 50;
const CUTS = 200;

const FEED = `subscription Feed($after: String, $filter: EventFilter) {
  events(filter: $filter, after: $after) {
    __typename
    ... on EventDelivered { cursor replayed event { vendorEventId device { name } } }
    ... on ReplayComplete { cursor replayedCount }
    ... on StreamHeartbeat { cursor }
    ... on StreamGap { fromCursor toCursor reason }
  }
}`;

const SCOPES: readonly AccessScope[] = [
  { orgIds: 'all', siteIds: null },
  { orgIds: ['org_a'], siteIds: null },
  { orgIds: ['org_b'], siteIds: null },
  { orgIds: ['org_a'], siteIds: ['site_a'] },
];
const FILTERS: readonly EventFilter[] = [
  {},
  { families: ['ALARM'] },
  { minSeverity: 'WARNING' },
  { siteIds: ['site_a2', 'site_b'] },
  { orgId: 'org_a', types: ['health.*'] },
];

interface Gap {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

interface Item {
  readonly data: {
    readonly events: {
      readonly __typename: string;
      readonly cursor?: string;
      readonly toCursor?: string;
      readonly reason?: string;
      readonly event?: { readonly vendorEventId: string; readonly device: { readonly name: string } };
    };
  };
}

/** A dashboard that keeps the cursor of the last item that it has handled, and nothing else. */
class Client {
  readonly delivered: number[] = [];
  readonly gaps: Gap[] = [];
  cuts = 0;
  /** Handled up to this number. */
  at: number;
  readonly #house: House;
  readonly #number: number;
  readonly access: AccessScope;
  readonly filter: EventFilter;
  #cursor: string;
  #subscriber: Subscriber | null = null;

  constructor(house: House, number: number, start: number) {
    this.#house = house;
    this.#number = number;
    this.access = SCOPES[number % SCOPES.length] ?? { orgIds: [], siteIds: [] };
    this.filter = FILTERS[number % FILTERS.length] ?? {};
    this.at = start;
    this.#cursor = house.cursorAt(start);
  }

  get isConnected(): boolean {
    return this.#subscriber !== null && this.#subscriber.ended === null;
  }

  async resume(): Promise<void> {
    if (this.isConnected) return;
    const { url } = this.#house;
    const open = this.#number % 2 === 0 ? overWebSocket : overServerSentEvents;
    const token = await this.#house.token(this.access, { sub: `client ${this.#number}` });
    const variables = { after: this.#cursor, filter: this.filter };
    this.#subscriber = open({ url, token, query: FEED, variables, onItem: (item: Item) => this.#handle(item) });
  }

  cut(): void {
    if (!this.isConnected) return;
    this.cuts += 1;
    this.#subscriber?.cut();
    this.#subscriber = null;
  }

  /** Comes back as often as it takes. */
  async reach(number: number): Promise<void> {
    while (this.at < number) {
      await this.resume();
      await this.#subscriber?.until(() => this.at >= number).catch(() => undefined);
    }
  }

  #handle({ data }: Item): void {
    const { __typename, cursor, toCursor, reason, event } = data.events;
    if (__typename === 'EventDelivered') {
      // What comes from another subgraph has come with it.
      this.delivered.push(event?.device.name.startsWith('cam-') ? Number(event.vendorEventId.slice(1)) : Number.NaN);
    }
    const place = this.#house.placeOf(cursor ?? toCursor ?? '').seq;
    if (__typename === 'StreamGap') this.gaps.push({ from: this.at, to: place, reason: reason ?? '' });
    this.at = place;
    this.#cursor = cursor ?? toCursor ?? '';
  }
}

/** What the test knows: everything that was ever logged, and how much of it is gone. */
interface World {
  readonly house: House;
  readonly clients: readonly Client[];
  readonly log: { readonly seq: number; readonly row: EventRow }[];
  trimmedTo: number;
}

const happening = fc.record({
  org: fc.constantFrom('a', 'b'),
  device: fc.constantFrom('cam-1', 'cam-2'),
  isSecondSite: fc.boolean(),
  family: fc.constantFrom('HEALTH', 'ALARM', 'ACCESS'),
  severity: fc.integer({ min: 0, max: 3 }),
});

type Drawn = typeof happening extends fc.Arbitrary<infer T> ? T : never;

const ALARM: Drawn = { org: 'a', device: 'cam-1', isSecondSite: false, family: 'ALARM', severity: 3 };

async function publish(world: World, happenings: readonly Drawn[]): Promise<void> {
  const rows = happenings.map(({ org, device, isSecondSite, family, severity }) => ({
    org,
    device,
    family,
    severity,
    type: `${family.toLowerCase()}.reported`,
    site_id: `site_${org}${isSecondSite ? '2' : ''}`,
  }));
  const numbers = await world.house.happen(...rows);
  const written = await world.house.db.read.selectFrom('events').selectAll().where('seq', 'in', numbers).execute();
  for (const row of written.toSorted((a, b) => a.seq - b.seq)) world.log.push({ seq: row.seq, row });
}

async function trim(world: World, count: number): Promise<void> {
  const gone = await world.house.db.write((tx) => trimEvents(tx, Number.MAX_SAFE_INTEGER, count));
  const left = world.log.filter(({ seq }) => seq > world.trimmedTo).slice(0, gone);
  world.trimmedTo = left.at(-1)?.seq ?? world.trimmedTo;
}

type Step = (world: World) => Promise<void>;
/** With a name for the report of a failure. */
const named = (name: string, step: Step): Step => Object.assign(step, { toString: () => name });

const happenings = fc.array(happening, { minLength: 1, maxLength: 20 });
const few = fc.uniqueArray(fc.nat({ max: CLIENTS - 1 }), { minLength: 1, maxLength: 8 });
const many = fc.uniqueArray(fc.nat({ max: CLIENTS - 1 }), { minLength: 10, maxLength: 30 });
const each = (world: World, numbers: readonly number[]) => numbers.flatMap((number) => world.clients[number] ?? []);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 40, arbitrary: happenings.map((list) => named('publish', (world) => publish(world, list))) },
  {
    weight: 40,
    arbitrary: few.map((numbers) =>
      named('cut', async (world) => {
        for (const client of each(world, numbers)) client.cut();
      }),
    ),
  },
  {
    weight: 40,
    arbitrary: many.map((numbers) =>
      named('resume', async (world) => {
        await Promise.all(each(world, numbers).map((client) => client.resume()));
      }),
    ),
  },
  // A client is let run to the head: half of what matters happens to those who are live.
  {
    weight: 20,
    arbitrary: few.map((numbers) =>
      named('catch up', async (world) => {
        await Promise.all(each(world, numbers).map((client) => client.reach(newestOf(world, client))));
      }),
    ),
  },
  { weight: 4, arbitrary: fc.constant(named('restart gateway', ({ house }) => house.restartGateway())) },
  {
    weight: 5,
    arbitrary: happenings.map((list) =>
      named('restart events', (world) => world.house.restartEvents(() => publish(world, list))),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.constant(
      named('break streams', async ({ house }) => {
        house.breakStreams();
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 1, max: 60 }).map((count) => named('trim', (world) => trim(world, count))),
  },
  { weight: 1, arbitrary: fc.constant(named('restore', ({ house }) => house.restore())) },
);

/** The newest event that a live client will be told of. */
function newestOf({ log, trimmedTo }: World, { access, filter }: Client): number {
  const isMine = eventPredicate(access, filter);
  return log.findLast(({ seq, row }) => seq > trimmedTo && isMine(row))?.seq ?? 0;
}

/** Everybody comes back once more: the end of a replay tells that it has reached the head. */
async function settle(world: World): Promise<void> {
  for (const client of world.clients) client.cut();
  const head = await world.house.db.head();
  await Promise.all(world.clients.map((client) => client.reach(head)));
}

function check({ clients, log, trimmedTo }: World): void {
  for (const [number, client] of clients.entries()) {
    const isMine = eventPredicate(client.access, client.filter);
    const isGone = (seq: number): boolean => client.gaps.some(({ from, to }) => seq > from && seq <= to);
    const expected = log.filter(({ seq, row }) => isMine(row) && !isGone(seq)).map(({ seq }) => seq);
    expect({ number, delivered: client.delivered }).toEqual({ number, delivered: expected });
    // Told only of what cannot be had any more.
    const untrue = client.gaps.filter(
      ({ to, reason }) => reason !== 'EPOCH' && (reason !== 'RETENTION' || to > trimmedTo),
    );
    expect(untrue).toEqual([]);
  }
}

eachEngine('subscribers', (open, engine) => {
  it(`are delivered the log exactly, through ${CUTS} cuts of ${CLIENTS} clients and restarts of everything`, async () => {
    // The other engine differs in how a page is read, not in how streams go on.
    const [length, least] = engine === 'sqlite' ? [240, CUTS] : [60, 50];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: length, maxLength: length }), async (steps) => {
        const db = await open();
        const house = await openHouse(db);
        const world: World = {
          house,
          log: [],
          trimmedTo: 0,
          clients: Array.from({ length: CLIENTS }, (_, number) => new Client(house, number, 0)),
        };
        try {
          await Promise.all(world.clients.map((client) => client.resume()));
          for (const each of steps) await each(world);
          // Whatever was drawn, each of these has happened.
          await house.restartGateway();
          await house.restartEvents(() => publish(world, [ALARM, ALARM]));
          // Everybody stands in the epoch of now, and what is trimmed next is in nobody's memory.
          await settle(world);
          for (const client of world.clients) client.cut();
          await house.restartEvents(async () => {
            await publish(world, [ALARM, ALARM]);
            await trim(world, world.log.length);
          });
          const cuts = (): number => world.clients.reduce((sum, client) => sum + client.cuts, 0);
          while (cuts() < least) {
            for (const client of world.clients) client.cut();
            await publish(world, [ALARM]);
            await Promise.all(world.clients.map((client) => client.reach(newestOf(world, client))));
          }
          await settle(world);
          check(world);
          expect(world.clients.some(({ gaps }) => gaps.some(({ reason }) => reason === 'RETENTION'))).toBe(true);
          expect(world.log.length).toBeGreaterThan(length);
        } finally {
          for (const client of world.clients) client.cut();
          await house.close();
        }
      }),
      { numRuns: 1, endOnFailure: true },
    );
  });
});
