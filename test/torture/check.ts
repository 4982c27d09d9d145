import { openReadOnly } from '../../storage/open-read-only.ts';
import { quickCheck } from '../../storage/backup/verify.ts';
import { eventId } from '../../storage/ids.ts';
import { verifyChain } from '../../storage/log-chain.ts';

/** What a reader of the stream may see: an org, or one site of it. Null: everything. */
export interface Scope {
  readonly orgId: string;
  readonly siteId: string | null;
}

export interface Store {
  /** Everything that arrived has been settled. */
  isSettled(): Promise<boolean>;
  /** Ids of the log in its order, behind an event, of what the scope may see. */
  idsBehind(event: string, scope: Scope | null): Promise<string[]>;
  /** Everything that does not hold, in words; an empty list is what one hopes for. */
  findFaults(acknowledged: ReadonlySet<string>): Promise<string[]>;
  close(): Promise<void>;
}

/** Looks into the embedded database beside the product. */
export function openStore(file: string): Store {
  const store = openReadOnly(`sqlite:${file}`);
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
    async isSettled() {
      const waiting = await read.selectFrom('inbox').select('id').where('status', '=', 'PENDING').limit(1).execute();
      return waiting.length === 0;
    },
    async idsBehind(event, scope) {
      const events = await log();
      const at = events.findIndex(({ key }) => eventId(key) === event);
      return events
        .slice(at + 1)
        .filter(
          ({ org_id: org, site_id: site }) =>
            scope === null || (org === scope.orgId && (scope.siteId === null || site === scope.siteId)),
        )
        .map(({ key }) => eventId(key));
    },
    async findFaults(acknowledged) {
      const faults = (await quickCheck(store)).map((line) => `the database is damaged: ${line}`);
      const events = await log();
      const times = new Map<string, number>();
      for (const { integration_id: integration, vendor_event_id: id } of events) {
        if (id !== null) times.set(`${integration} ${id}`, (times.get(`${integration} ${id}`) ?? 0) + 1);
      }
      for (const [id, count] of times) if (count > 1) faults.push(`event ${id} is in the log ${count} times`);
      const logged = new Set(events.map(({ vendor_event_id: id }) => id));
      for (const id of acknowledged)
        if (!logged.has(id)) faults.push(`event ${id} was acknowledged and is not in the log`);
      const { broken } = await verifyChain(store);
      for (const { toSeq } of broken) faults.push(`the log up to ${toSeq} does not match its seal`);
      return [...faults, ...(await findWrongStates(events))];
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
