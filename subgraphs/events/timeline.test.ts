import { expect, it, onTestFinished } from 'vitest';
import { createDeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import { createInboxWriter } from '../../pipeline/inbox/inbox-writer.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { createLogTail } from '../../pipeline/stream/log-tail.ts';
import { acme, acmeBody, type AcmeEvent, NOON, quiet, seed } from '../../pipeline/testing.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { createEventsSubgraph } from './index.ts';

const MINUTE = 60_000;

async function timelineOf(db: Database) {
  const seeded = await seed(db);
  const { id: integrationId, org_id: orgId } = seeded.integration;
  const inbox = createInboxWriter({ db, logger: quiet });
  const processor = createProcessor({ db, vendors: [acme], logger: quiet, now: () => NOON });
  const tail = createLogTail({ db, logger: quiet });
  onTestFinished(async () => {
    await tail.stop();
    await processor.stop();
    await inbox.close();
  });
  const cursors = createCursorCodec(Buffer.alloc(32, 5));
  const deadLetters = createDeadLetters({ db, processor });
  const subgraph = createEventsSubgraph({ db, cursors, tail, deadLetters, now: () => NOON }, [acme]);
  return {
    seeded,
    /** @param skewMs our clock minus the sender's */
    deliver: async (skewMs: number, ...events: readonly AcmeEvent[]) => {
      const headers = JSON.stringify({ 'x-webhook-timestamp': String((NOON - skewMs) / 1_000) });
      const body = acmeBody(...events);
      await inbox.append({ orgId, integrationId, source: 'WEBHOOK', receivedAt: NOON, headers, body });
      await processor.process(integrationId);
    },
    mark: (vendorEventId: string, flags: { readonly suppressed?: 1; readonly in_maintenance?: 1 }) =>
      db.write((tx) =>
        tx.updateTable('events').set(flags).where('vendor_event_id', '=', vendorEventId).executeTakeFirstOrThrow(),
      ),
    fails: async (query: string, variables: Record<string, unknown>) =>
      (await ask(subgraph, principal({}), query, variables)).errors,
    ask: async (query: string, variables: Record<string, unknown> = {}) => {
      const { data, errors } = await ask(subgraph, principal({}), query, variables);
      expect(errors).toEqual([]);
      return data;
    },
  };
}

const TIMELINE = `query EventTimeline($filter: EventFilter, $after: String) {
  events(first: 2, after: $after, filter: $filter) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { vendorEventId occurredAt receivedAt clockSkewMs late suppressed inMaintenance ... on AlarmEvent { actors { kind } } }
  }
}`;

eachEngine('event timeline', (open) => {
  it('filters by actor, family and time together, and keeps what came late in its place with its clock skew', async () => {
    const { seeded, deliver, ask: read } = await timelineOf(await open());
    const alarm = { device: 'cam-1', family: 'ALARM', type: 'alarm.motion', actors: ['person', 'dog'] } as const;
    await deliver(0, { ...alarm, id: 'third', at: NOON - 10 * MINUTE });
    await deliver(
      0,
      { ...alarm, id: 'a car', actors: ['car'], at: NOON - 15 * MINUTE },
      { ...alarm, id: 'a reading', family: 'SENSOR', type: 'sensor.read', at: NOON - 15 * MINUTE },
      { ...alarm, id: 'too early', at: NOON - 60 * MINUTE - 1 },
      { ...alarm, id: 'too new', at: NOON - 5 * MINUTE },
      { ...alarm, id: 'first', at: NOON - 60 * MINUTE },
    );
    await deliver(90_000, { ...alarm, id: 'back-filled', at: NOON - 30 * MINUTE });
    const filter = {
      siteIds: [seeded.siteId],
      families: ['ALARM', 'ACCESS', 'VIDEO'],
      occurredAt: {
        gte: new Date(NOON - 60 * MINUTE).toISOString(),
        lt: new Date(NOON - 5 * MINUTE).toISOString(),
      },
      actors: ['person'],
      includeMaintenance: true,
    };
    const { events } = await read(TIMELINE, { filter });
    expect(events).toMatchObject({
      totalCount: 3,
      pageInfo: { hasNextPage: true },
      nodes: [
        { vendorEventId: 'third', clockSkewMs: 0 },
        {
          vendorEventId: 'back-filled',
          clockSkewMs: 90_000,
          occurredAt: new Date(NOON - 30 * MINUTE).toISOString(),
          actors: [{ kind: 'person' }, { kind: 'dog' }],
        },
      ],
    });
    const rest = await read(TIMELINE, { filter, after: events.pageInfo.endCursor });
    expect(rest.events).toMatchObject({ pageInfo: { hasNextPage: false }, nodes: [{ vendorEventId: 'first' }] });
  });

  it('counts by span of time what the filter matches, of all and of one device', async () => {
    const { seeded, deliver, ask: read } = await timelineOf(await open());
    const day = 24 * 60 * MINUTE;
    const midnight = NOON - day / 2;
    await deliver(
      0,
      { id: 'a', device: 'cam-1', at: NOON - 2 * MINUTE },
      { id: 'b', device: 'cam-2', at: NOON - MINUTE },
      { id: 'c', device: 'cam-1', at: midnight },
      { id: 'd', device: 'cam-1', at: midnight - 1 },
      { id: 'e', device: 'cam-1', at: NOON - 3 * MINUTE, family: 'ALARM', type: 'alarm.motion' },
    );
    const query = `query ($id: ID!, $size: Duration!) {
      events(filter: { families: [HEALTH] }) { totalCount buckets(size: $size) { from to count } }
      _entities(representations: [{ __typename: "Device", id: $id }]) { ... on Device { events { buckets(size: $size) { from count } } } }
    }`;
    const ids = { id: seeded.device('cam-1') };
    const iso = (at: number) => new Date(at).toISOString();
    const byDay = await read(query, { ...ids, size: 'P1D' });
    expect(byDay.events).toEqual({
      totalCount: 4,
      buckets: [
        { from: iso(midnight - day), to: iso(midnight), count: 1 },
        { from: iso(midnight), to: iso(midnight + day), count: 3 },
      ],
    });
    expect(byDay._entities[0].events.buckets).toEqual([
      { from: iso(midnight - day), count: 1 },
      { from: iso(midnight), count: 3 },
    ]);
    const byHour = await read(query, { ...ids, size: 'PT1H' });
    expect(byHour.events.buckets.map(({ count }: { count: number }) => count)).toEqual([1, 1, 2]);
  });

  it.each(['PT1S', 'PT7H', 'P1DT1H', 'PT0S'])('cuts time into no spans of %s', async (size) => {
    const { fails } = await timelineOf(await open());
    const query = 'query ($size: Duration!) { events { buckets(size: $size) { count } } }';
    expect(await fails(query, { size })).toMatchObject([{ code: 'BAD_USER_INPUT' }]);
  });

  it('hides planned work and what has its cause elsewhere until it is asked for, and then says which is which', async () => {
    const { seeded, deliver, mark, ask: read } = await timelineOf(await open());
    for (const id of ['plain', 'planned', 'caused', 'both']) await deliver(0, { id, device: 'cam-1' });
    await mark('planned', { in_maintenance: 1 });
    await mark('caused', { suppressed: 1 });
    await mark('both', { in_maintenance: 1, suppressed: 1 });

    const seen = async (filter: Record<string, boolean> | undefined) => {
      const { events } = await read(
        'query ($filter: EventFilter) { events(filter: $filter) { totalCount nodes { vendorEventId suppressed inMaintenance } } }',
        { filter },
      );
      expect(events.totalCount).toBe(events.nodes.length);
      return events.nodes
        .map(
          (node: { vendorEventId: string; suppressed: boolean; inMaintenance: boolean }) =>
            `${node.vendorEventId}${node.suppressed ? ' S' : ''}${node.inMaintenance ? ' M' : ''}`,
        )
        .toSorted();
    };
    expect(await seen(undefined)).toEqual(['plain']);
    expect(await seen({ includeMaintenance: true })).toEqual(['plain', 'planned M']);
    expect(await seen({ includeSuppressed: true })).toEqual(['caused S', 'plain']);
    expect(await seen({ includeMaintenance: true, includeSuppressed: true })).toEqual([
      'both S M',
      'caused S',
      'plain',
      'planned M',
    ]);

    const ofDevice = async (filter: string) => {
      const { _entities } = await read(
        `query ($ref: [_Any!]!) { _entities(representations: $ref) { ... on Device { events${filter} { totalCount nodes { vendorEventId } } } } }`,
        { ref: [{ __typename: 'Device', id: seeded.device('cam-1') }] },
      );
      return [_entities[0].events.totalCount, _entities[0].events.nodes.length];
    };
    expect(await ofDevice('')).toEqual([1, 1]);
    expect(await ofDevice('(filter: { includeMaintenance: true, includeSuppressed: true })')).toEqual([4, 4]);
  });
});
