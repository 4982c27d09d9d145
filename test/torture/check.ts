import { openReadOnly } from '../../storage/open-read-only.ts';
import { quickCheck } from '../../storage/backup/verify.ts';
import { eventId, eventKey } from '../../storage/ids.ts';
import { verifyChain } from '../../storage/log-chain.ts';
import { hasArrivals } from '../../storage/sqlite/arrivals-file.ts';

/** What a reader of the stream may see: an org, or one site of it. Null: everything. */
export interface Scope {
  readonly orgId: string;
  readonly siteId: string | null;
}

export interface Store {
  /** Deliveries that arrived and are not settled. */
  waiting(): Promise<number>;
  /** Ids of the log in its order, behind an event, of what the scope may see. */
  idsBehind(event: string, scope: Scope | null): Promise<string[]>;
  /** Everything that does not hold, in words; an empty list is what one hopes for. */
  findFaults(acknowledged: ReadonlySet<string>): Promise<Violation[]>;
  close(): Promise<void>;
}

/** What a run must not show. */
export interface Violation {
  /**
   * Lost: acknowledged, and not in the log. Doubled: more than once in the log or at a reader. Gap: a reader misses what
   * the log has, or was told that it does. Other: everything else that does not add up.
   */
  readonly kind: 'lost' | 'doubled' | 'gap' | 'other';
  readonly text: string;
}

/** Looks into the database beside the product. @param url `sqlite:<file>` or `postgres://…` */
export function openStore(url: string): Store {
  const store = openReadOnly(url);
  const { read } = store;

  async function log() {
    return read
      .selectFrom('events')
      .select(['seq', 'key', 'org_id', 'site_id', 'device_id', 'vendor_event_id', 'integration_id', 'inbox_id'])
      .select(['state', 'occurred_at', 'observed_at', 'received_at', 'derived'])
      .orderBy('seq')
      .execute();
  }

  /** A device is what the newest claim about it says, or is about to become it. */
  async function findWrongStates(events: Awaited<ReturnType<typeof log>>): Promise<string[]> {
    const newest = new Map<string, (typeof events)[number]>();
    const placeOf = (event: (typeof events)[number]) =>
      [event.observed_at ?? event.occurred_at, event.received_at, event.inbox_id ?? 0, event.seq] as const;
    for (const event of events) {
      if (event.device_id === null || event.state === null || event.derived === 1) continue;
      const other = newest.get(event.device_id);
      if (other !== undefined && comparePlaces(placeOf(event), placeOf(other)) < 0) continue;
      newest.set(event.device_id, event);
    }
    const devices = await read.selectFrom('devices').select(['id', 'state', 'pending_state', 'flapping']).execute();
    return devices.flatMap(({ id, state, pending_state: pending, flapping }) => {
      const claim = newest.get(id);
      // Whoever flaps is shown as it was when that began.
      if (claim === undefined || flapping === 1 || (pending ?? state) === claim.state) return [];
      return [`device ${id} is ${pending ?? state}, its newest claim (log number ${claim.seq}) says ${claim.state}`];
    });
  }

  return {
    async waiting() {
      // In front first: what moves in between is counted twice rather than not at all.
      const inFront = store.engine === 'sqlite' && hasArrivals(url.slice('sqlite:'.length)) ? 1 : 0;
      const { count } = await read
        .selectFrom('inbox')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('status', '=', 'PENDING')
        .executeTakeFirstOrThrow();
      return Number(count) + inFront;
    },
    async idsBehind(event, scope) {
      let keys = read.selectFrom('events').select('key').orderBy('seq');
      if (scope !== null) keys = keys.where('org_id', '=', scope.orgId);
      if (scope !== null && scope.siteId !== null) keys = keys.where('site_id', '=', scope.siteId);
      const first = read
        .selectFrom('events')
        .select('seq')
        .where('key', '=', eventKey(event) ?? Buffer.alloc(0));
      return (await keys.where('seq', '>', first).execute()).map(({ key }) => eventId(key));
    },
    async findFaults(acknowledged) {
      const faults: Violation[] = [];
      const note = (kind: Violation['kind'], text: string) => faults.push({ kind, text });
      for (const line of await quickCheck(store)) note('other', `the database is damaged: ${line}`);
      const events = await log();
      const times = new Map<string, number>();
      for (const { integration_id: integration, vendor_event_id: id } of events) {
        if (id !== null) times.set(`${integration} ${id}`, (times.get(`${integration} ${id}`) ?? 0) + 1);
      }
      for (const [id, count] of times) if (count > 1) note('doubled', `event ${id} is in the log ${count} times`);
      const logged = new Set(events.map(({ vendor_event_id: id }) => id));
      for (const id of acknowledged)
        if (!logged.has(id)) note('lost', `event ${id} was acknowledged and is not in the log`);
      const { broken } = await verifyChain(store);
      for (const { toSeq } of broken) note('other', `the log up to ${toSeq} does not match its seal`);
      for (const text of await findWrongStates(events)) note('other', text);
      return faults;
    },
    close: () => store.close(),
  };
}

function comparePlaces(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
