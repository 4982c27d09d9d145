import { expect, it, onTestFinished } from 'vitest';
import { dedupeKeyOfLogged } from './event-key.ts';
import { MAX_ATTEMPTS } from './process-batch.ts';
import { createProcessor } from './processor.ts';
import { createDeadLetters } from '../dead-letters/dead-letters.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acme, acmeBody, type AcmeEvent, addDevice, bind, NOON, quiet, seed, type Seeded, until } from '../testing.ts';
import type { Database } from '../../storage/database.ts';
import { readDuplicateCounts } from '../../storage/event-dedupe.ts';
import { StorageError } from '../../storage/storage-error.ts';
import { eachEngine } from '../../storage/testing.ts';

const SECOND = 1_000;
const DAY = 86_400_000;

function harness(db: Database, seeded: Seeded) {
  const clock = { now: NOON };
  const inbox = createInboxWriter({ db, logger: quiet });
  const processor = createProcessor({ db, vendors: [acme], logger: quiet, now: () => clock.now });
  onTestFinished(async () => {
    await processor.stop();
    await inbox.close();
  });
  const { integration } = seeded;

  /** Stores one delivery without processing it. */
  function store(body: Uint8Array, headers: Record<string, string> = {}) {
    return inbox.append({
      orgId: integration.org_id,
      integrationId: integration.id,
      source: 'WEBHOOK',
      receivedAt: clock.now,
      headers: JSON.stringify(headers),
      body,
    });
  }

  async function deliver(...events: readonly AcmeEvent[]) {
    await store(acmeBody(...events));
    await processor.process(integration.id);
  }

  return {
    clock,
    processor,
    deadLetters: createDeadLetters({ db, processor }),
    store,
    deliver,
    events: () => db.read.selectFrom('events').selectAll().orderBy('seq').execute(),
    inbox: () => db.read.selectFrom('inbox').selectAll().orderBy('id').execute(),
    device: (nativeId: string) =>
      db.read.selectFrom('devices').selectAll().where('id', '=', seeded.device(nativeId)).executeTakeFirstOrThrow(),
    counters: async () => {
      const rows = await db.read.selectFrom('integration_counters').selectAll().execute();
      const sum = (pick: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + pick(row), 0);
      return { events: sum((row) => row.events), duplicates: sum((row) => row.duplicates) };
    },
    revision: async () => {
      const org = await db.read.selectFrom('orgs').select('revision').executeTakeFirstOrThrow();
      return org.revision;
    },
  };
}

eachEngine('processing', (open) => {
  async function start() {
    const db = await open();
    const seeded = await seed(db);
    return { db, seeded, ...harness(db, seeded) };
  }

  it('makes an event of a delivery, moves the device, and settles the delivery', async () => {
    const { deliver, events, device, inbox, counters, revision, seeded, db } = await start();
    const rings: string[] = [];
    db.doorbell.on('*', (topic) => rings.push(topic));
    await deliver({ id: 'e1', device: 'cam-1', site: 'lobby', state: 'OFFLINE', at: NOON - 5 * SECOND });
    expect(await events()).toMatchObject([
      {
        seq: 1,
        org_id: 'org_a',
        site_id: 'site_a',
        device_id: seeded.device('cam-1'),
        integration_id: 'int_a',
        family: 'HEALTH',
        severity: 2,
        occurred_at: NOON - 5 * SECOND,
        received_at: NOON,
        late: 0,
        changed: 1,
        state: 'OFFLINE',
        previous_state: 'UNKNOWN',
        vendor_event_id: 'e1',
        origin: 'WEBHOOK',
      },
    ]);
    expect(await device('cam-1')).toMatchObject({
      state: 'OFFLINE',
      state_rank: 0,
      state_reason: 'REPORTED',
      state_since: NOON - 5 * SECOND,
      state_observed_at: NOON - 5 * SECOND,
      updated_at: NOON,
    });
    expect(await inbox()).toMatchObject([{ status: 'DONE', attempts: 1, settled_at: NOON }]);
    expect(await counters()).toEqual({ events: 1, duplicates: 0 });
    expect(await revision()).toBe(1);
    const integration = await db.read.selectFrom('integrations').selectAll().executeTakeFirstOrThrow();
    expect(integration).toMatchObject({ last_event_at: NOON, last_webhook_at: NOON });
    expect(rings).toEqual(expect.arrayContaining(['log', 'org:org_a', 'integration:int_a']));
  });

  it('knows that the platform was heard, by the clock as it is after it was set back', async () => {
    const { clock, deliver, db } = await start();
    const heardAt = async () =>
      (await db.read.selectFrom('integrations').select('last_webhook_at').executeTakeFirstOrThrow()).last_webhook_at;
    await deliver({ id: 'e1', device: 'cam-1', site: 'lobby', at: NOON });
    clock.now = NOON - 3_600 * SECOND;
    await deliver({ id: 'e2', device: 'cam-1', site: 'lobby', at: NOON });
    expect(await heardAt()).toBe(NOON - 3_600 * SECOND);
  });

  it('lets a life sign move when the device was last seen, and nothing else', async () => {
    const { deliver, device } = await start();
    await deliver({ id: 'e1', device: 'cam-1', state: 'ONLINE', at: NOON });
    await deliver({ id: 'e2', device: 'cam-1', state: 'ONLINE', at: NOON + SECOND });
    await deliver({ id: 'e3', device: 'cam-1', state: 'ONLINE', at: NOON - SECOND });
    expect(await device('cam-1')).toMatchObject({
      state: 'ONLINE',
      // What came last says that it was so before.
      state_since: NOON - SECOND,
      last_seen_at: NOON + SECOND,
    });
  });

  it('keeps an older claim, marks it late, and does not let it move the state', async () => {
    const { deliver, events, device } = await start();
    await deliver({ id: 'new', device: 'cam-1', state: 'ONLINE', at: NOON });
    await deliver({ id: 'old', device: 'cam-1', state: 'OFFLINE', at: NOON - SECOND });
    expect(await events()).toMatchObject([
      { vendor_event_id: 'new', late: 0, changed: 1 },
      { vendor_event_id: 'old', late: 1, changed: 0 },
    ]);
    expect(await device('cam-1')).toMatchObject({ state: 'ONLINE', state_observed_at: NOON });
  });

  it('clamps and flags what claims to come from the future', async () => {
    const { deliver, events, device } = await start();
    await deliver({ id: 'e1', device: 'cam-1', state: 'OFFLINE', at: NOON + DAY });
    expect(await events()).toMatchObject([{ occurred_at: NOON, clock_skew_ms: -DAY }]);
    await deliver({ id: 'e2', device: 'cam-1', state: 'ONLINE', at: NOON + SECOND });
    expect(await device('cam-1')).toMatchObject({ state: 'ONLINE' });
  });

  it('tells how far the clock of the sender is from ours', async () => {
    const { store, processor, events } = await start();
    await store(acmeBody({ id: 'e1', device: 'cam-1' }), { 'x-webhook-timestamp': String(NOON / SECOND - 12) });
    await processor.process('int_a');
    expect(await events()).toMatchObject([{ clock_skew_ms: 12_000 }]);
  });

  it('makes one event of the same id however it is sent again, and counts', async () => {
    const { deliver, events, counters, db, clock } = await start();
    await deliver({ id: 'e1', device: 'cam-1', state: 'OFFLINE', at: NOON });
    await deliver({ id: 'e1', device: 'cam-1', state: 'OFFLINE', at: NOON }, { id: 'e1', device: 'cam-2' });
    // Another timestamp, another state, six days later: still the same event.
    clock.now += 6 * DAY;
    await deliver({ id: 'e1', device: 'cam-1', state: 'ONLINE', at: NOON + DAY });
    const [event, ...others] = await events();
    expect(others).toEqual([]);
    expect(await counters()).toEqual({ events: 1, duplicates: 3 });
    const key = dedupeKeyOfLogged(event!);
    expect(await readDuplicateCounts(db, [key])).toEqual(new Map([[key.toString('hex'), 3]]));
  });

  it('makes one event of equal content where the vendor gives no id', async () => {
    const { deliver, events } = await start();
    await deliver({ device: 'cam-1', state: 'OFFLINE', at: NOON });
    await deliver({ device: 'cam-1', state: 'OFFLINE', at: NOON }, { device: 'cam-2', state: 'OFFLINE', at: NOON });
    await deliver({ device: 'cam-1', state: 'OFFLINE', at: NOON + 1 });
    const logged = (await events()).filter(({ type }) => type !== 'system.event_ids_missing');
    expect(logged).toHaveLength(3);
  });

  it('keeps equal ids of different integrations apart', async () => {
    const { deliver, events, db } = await start();
    const other = await seed(db, { name: 'b' });
    await deliver({ id: 'e1', device: 'cam-1', state: 'OFFLINE' });
    await harness(db, other).deliver({ id: 'e1', device: 'cam-1', state: 'OFFLINE' });
    expect((await events()).map(({ org_id }) => org_id)).toEqual(['org_a', 'org_b']);
  });

  it('keeps the order of arrival for each device', async () => {
    const { store, processor, events } = await start();
    for (let i = 0; i < 450; i++) {
      await store(acmeBody({ id: `e${i}`, device: `cam-${(i % 2) + 1}`, at: NOON + i }));
    }
    await processor.process('int_a');
    expect((await events()).map(({ vendor_event_id }) => vendor_event_id)).toEqual(
      Array.from({ length: 450 }, (_, i) => `e${i}`),
    );
  });

  it.each([
    ['PARSE', Buffer.from([0xff, 0x00, 0xfe])],
    ['PARSE', Buffer.from('['.repeat(50_000))],
    ['SCHEMA', Buffer.from('{"nothing":1}')],
    ['SCHEMA', Buffer.from('{"__proto__":{"events":[]},"constructor":{}}')],
  ])('sets aside as %s what cannot be read', async (stage, body) => {
    const { store, processor, inbox, events } = await start();
    await store(body);
    await processor.process('int_a');
    expect(await inbox()).toMatchObject([{ status: 'DEAD', stage }]);
    expect(await events()).toEqual([]);
  });

  it('sets aside what is of an unknown site, and makes an event of it once the site is bound', async () => {
    const { deliver, inbox, events, db, seeded, deadLetters, counters } = await start();
    await deliver({ id: 'e1', device: 'cam-1', site: 'attic', state: 'OFFLINE', at: NOON - SECOND });
    expect(await inbox()).toMatchObject([
      { status: 'DEAD', stage: 'BINDING', reason: expect.stringContaining('attic') },
    ]);
    expect(await deadLetters.replay('int_a', { stages: ['BINDING'] })).toMatchObject({
      replayed: 0,
      stillFailing: [{ stage: 'BINDING' }],
    });
    await bind(db, seeded.integration, 'attic', seeded.secondSiteId);
    expect(await deadLetters.replay('int_a', { stages: ['MAPPING'] })).toMatchObject({ replayed: 0 });
    expect(await deadLetters.replay('int_a', { stages: ['BINDING'] })).toEqual({ replayed: 1, stillFailing: [] });
    expect(await deadLetters.replay('int_a')).toEqual({ replayed: 0, stillFailing: [] });
    expect(await events()).toMatchObject([{ site_id: 'site_a2', occurred_at: NOON - SECOND, received_at: NOON }]);
    expect(await counters()).toEqual({ events: 1, duplicates: 0 });
  });

  it('sets aside what is of an unknown device, keeps the rest of the delivery, and doubles nothing at the replay', async () => {
    const { deliver, inbox, events, db, seeded, deadLetters, counters } = await start();
    await deliver(
      { id: 'e1', device: 'cam-1', site: 'lobby' },
      { id: 'e2', device: 'cam-9', site: 'lobby', state: 'OFFLINE' },
    );
    expect(await inbox()).toMatchObject([
      { status: 'DEAD', stage: 'MAPPING', reason: expect.stringMatching(/^1 of 2 events: device "cam-9"/) },
    ]);
    expect(await events()).toHaveLength(1);
    await addDevice(db, seeded.integration, 'cam-9', 'site_a');
    expect(await deadLetters.replay('int_a', { stages: ['MAPPING'] })).toEqual({ replayed: 1, stillFailing: [] });
    expect((await events()).map(({ vendor_event_id }) => vendor_event_id)).toEqual(['e1', 'e2']);
    expect(await counters()).toEqual({ events: 2, duplicates: 0 });
  });

  it('takes the site from the device where the platform sends none', async () => {
    const { deliver, events, inbox, db, seeded } = await start();
    await addDevice(db, seeded.integration, 'unbound', null);
    await deliver({ id: 'e1', device: 'cam-1' });
    await deliver({ id: 'e2', device: 'unbound' });
    expect(await events()).toMatchObject([{ site_id: 'site_a' }]);
    expect(await inbox()).toMatchObject([{ status: 'DONE' }, { status: 'DEAD', stage: 'BINDING' }]);
  });

  it('logs what is about the integration itself without site and device', async () => {
    const { deliver, events } = await start();
    await deliver({ id: 'e1', family: 'SYSTEM', type: 'system.maintenance' });
    expect(await events()).toMatchObject([{ family: 'SYSTEM', site_id: null, device_id: null }]);
  });

  it('tries a delivery that breaks the decoder five times, then sets it aside, and holds nobody up', async () => {
    const { store, processor, inbox, events, clock } = await start();
    await store(acmeBody({ id: 'bad', poison: true }));
    for (let i = 0; i < 3; i++) await store(acmeBody({ id: `good-${i}`, device: 'cam-1' }));
    await processor.process('int_a');
    expect(await events()).toHaveLength(3);
    for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt++) {
      expect((await inbox())[0]).toMatchObject({ status: 'PENDING', attempts: attempt });
      // Too early: nothing is tried.
      await processor.process('int_a');
      expect((await inbox())[0]).toMatchObject({ attempts: attempt });
      clock.now = (await inbox())[0]!.next_attempt_at!;
      await processor.process('int_a');
    }
    expect((await inbox())[0]).toMatchObject({
      status: 'DEAD',
      stage: 'DELIVERY',
      attempts: MAX_ATTEMPTS,
      reason: 'the processing failed 5 times (TypeError)',
    });
  });

  it('isolates a delivery that breaks the transaction from the others of its batch', async () => {
    const { store, processor, inbox, events } = await start();
    await store(acmeBody({ id: 'good-1', device: 'cam-1' }));
    // No column takes an instant that is not a number.
    await store(
      acmeBody(
        { id: 'bad', device: 'cam-1', at: 9e15 + 1, state: 'ONLINE' },
        { id: 'bad2', device: 'cam-1', at: -9e15 },
      ),
    );
    await store(acmeBody({ id: 'good-2', device: 'cam-2' }));
    await processor.process('int_a');
    expect((await events()).map(({ vendor_event_id }) => vendor_event_id)).toEqual(['good-1', 'good-2']);
    expect((await inbox()).map(({ status, attempts }) => [status, attempts])).toEqual([
      ['DONE', 1],
      ['PENDING', 1],
      ['DONE', 1],
    ]);
  });

  it('counts nothing against a delivery while the store is what fails', async () => {
    const { db, store, inbox } = await start();
    await store(acmeBody({ id: 'e1', device: 'cam-1' }));
    const full: Database = {
      ...db,
      read: db.read,
      write: () => Promise.reject(new StorageError('DISK_FULL', 'no space')),
    };
    const processor = createProcessor({ db: full, vendors: [acme], logger: quiet, now: () => NOON });
    await expect(processor.process('int_a')).rejects.toThrow('no space');
    expect(await inbox()).toMatchObject([{ status: 'PENDING', attempts: 0 }]);
  });

  it('processes what waited from before its start, and what comes afterwards', async () => {
    const { db, store, processor, events } = await start();
    await store(acmeBody({ id: 'before', device: 'cam-1' }));
    processor.start();
    await until(async () => (await events()).length === 1);
    await store(acmeBody({ id: 'after', device: 'cam-1' }));
    await until(async () => (await events()).length === 2);
    expect(await db.read.selectFrom('inbox').select('status').execute()).toEqual([
      { status: 'DONE' },
      { status: 'DONE' },
    ]);
  });

  it('processes each delivery once when several processors run', async () => {
    const { db, store, events, counters } = await start();
    for (let i = 0; i < 300; i++) await store(acmeBody({ id: `e${i}`, device: 'cam-1', at: NOON + i }));
    const others = Array.from({ length: 3 }, () =>
      createProcessor({ db, vendors: [acme], logger: quiet, now: () => NOON }),
    );
    await Promise.all(others.map((processor) => processor.process('int_a')));
    expect((await events()).map(({ vendor_event_id }) => vendor_event_id)).toEqual(
      Array.from({ length: 300 }, (_, i) => `e${i}`),
    );
    expect(await counters()).toEqual({ events: 300, duplicates: 0 });
  });
});
