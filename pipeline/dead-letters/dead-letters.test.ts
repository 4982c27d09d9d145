import { expect, it } from 'vitest';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { Database } from '../../storage/database.ts';
import { deadLetterId } from '../../storage/inbox-dead-letters.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { createProcessor } from '../process/processor.ts';
import { acme, acmeBody, addDevice, bind, NOON, quiet, seed, type Seeded } from '../testing.ts';
import { createDeadLetters } from './dead-letters.ts';

const HOUR = 3_600_000;

function rig(db: Database, vendor: Vendor = acme) {
  const clock = { now: NOON };
  const processor = createProcessor({ db, vendors: [vendor], logger: quiet, now: () => clock.now });
  const inbox = createInboxWriter({ db, logger: quiet });
  return {
    clock,
    letters: createDeadLetters({ db, processor }),
    deliver: async ({ integration }: Seeded, body: Uint8Array, receivedAt = NOON) => {
      await inbox.append({
        orgId: integration.org_id,
        integrationId: integration.id,
        source: 'WEBHOOK',
        receivedAt,
        headers: '{}',
        body,
      });
      await processor.process(integration.id);
    },
  };
}

const inboxOf = (db: Database) => db.read.selectFrom('inbox').selectAll().orderBy('id').execute();
const eventsOf = (db: Database) => db.read.selectFrom('events').selectAll().orderBy('seq').execute();

eachEngine('dead letters', (open) => {
  it('become events with their original times after the repair, and nothing more the second time', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { letters, deliver, clock } = rig(db);
    const happenedAt = NOON - HOUR;
    await deliver(seeded, acmeBody({ id: 'e1', device: 'cam-9', site: 'attic', at: happenedAt, state: 'OFFLINE' }));
    await deliver(seeded, acmeBody({ id: 'e2', device: 'cam-9', site: 'lobby', at: happenedAt + 1, state: 'ONLINE' }));
    expect((await inboxOf(db)).map(({ stage }) => stage)).toEqual(['BINDING', 'MAPPING']);
    await bind(db, seeded.integration, 'attic', seeded.siteId);
    await addDevice(db, seeded.integration, 'cam-9', seeded.siteId);
    clock.now += 5 * HOUR;
    const selection = { stages: ['BINDING', 'MAPPING'] };
    expect(await letters.replay(seeded.integration.id, selection)).toEqual({ replayed: 2, stillFailing: [] });
    expect(await eventsOf(db)).toMatchObject([
      { vendor_event_id: 'e1', occurred_at: happenedAt, received_at: NOON },
      { vendor_event_id: 'e2', occurred_at: happenedAt + 1, received_at: NOON },
    ]);
    expect(await letters.replay(seeded.integration.id, selection)).toEqual({ replayed: 0, stillFailing: [] });
    expect(await eventsOf(db)).toHaveLength(2);
    const [device] = await db.read.selectFrom('devices').selectAll().where('native_id', '=', 'cam-9').execute();
    expect(device).toMatchObject({ state: 'ONLINE' });
  });

  it('are chosen by id, by stage and by when they arrived', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { letters, deliver } = rig(db);
    await deliver(seeded, acmeBody({ id: 'e1', device: 'cam-9', site: 'lobby' }), NOON - 2 * HOUR);
    await deliver(seeded, acmeBody({ id: 'e2', device: 'cam-9', site: 'lobby' }), NOON - HOUR);
    await deliver(seeded, acmeBody({ id: 'e3', device: 'cam-1', site: 'attic' }), NOON);
    await bind(db, seeded.integration, 'attic', seeded.siteId);
    await addDevice(db, seeded.integration, 'cam-9', seeded.siteId);
    const { id } = seeded.integration;
    const statuses = async () => (await inboxOf(db)).map(({ status }) => status);

    const none = [{ ids: [] }, { ids: ['dead_of nobody'] }, { stages: [] }, { stages: ['SCHEMA'] }];
    for (const selection of none) expect(await letters.replay(id, selection)).toMatchObject({ replayed: 0 });
    expect(await letters.replay(id, { receivedAt: { lt: NOON - 2 * HOUR } })).toMatchObject({ replayed: 0 });
    expect(await letters.replay('int_other')).toMatchObject({ replayed: 0 });
    expect(await statuses()).toEqual(['DEAD', 'DEAD', 'DEAD']);

    expect(await letters.replay(id, { stages: ['BINDING'] })).toMatchObject({ replayed: 1 });
    expect(await statuses()).toEqual(['DEAD', 'DEAD', 'DONE']);
    expect(await letters.replay(id, { receivedAt: { gte: NOON - HOUR } })).toMatchObject({ replayed: 1 });
    expect(await statuses()).toEqual(['DEAD', 'DONE', 'DONE']);
    const [first] = await inboxOf(db);
    expect(await letters.replay(id, { ids: [deadLetterId(first!)] })).toMatchObject({ replayed: 1 });
    expect(await statuses()).toEqual(['DONE', 'DONE', 'DONE']);
  });

  it.each(['PARSE', 'SCHEMA'] as const)('of stage %s become events once the decoder was repaired', async (stage) => {
    const db = await open();
    const seeded = await seed(db);
    let isRepaired = false;
    const { letters, deliver } = rig(db, {
      ...acme,
      decode(message, context) {
        if (!isRepaired) throw new DecodeError(stage, 'events[0].device is not a text');
        return acme.decode(message, context);
      },
    });
    await deliver(seeded, acmeBody({ id: 'e1', device: 'cam-1', site: 'lobby', at: NOON - HOUR }));
    const before = await letters.replay(seeded.integration.id);
    expect(before).toMatchObject({ replayed: 0, stillFailing: [{ stage, replays: 1 }] });
    isRepaired = true;
    expect(await letters.replay(seeded.integration.id)).toMatchObject({ replayed: 1 });
    expect(await letters.replay(seeded.integration.id)).toMatchObject({ replayed: 0 });
    expect(await eventsOf(db)).toMatchObject([{ vendor_event_id: 'e1', occurred_at: NOON - HOUR }]);
    expect(await inboxOf(db)).toMatchObject([{ status: 'DONE', stage: null, replays: 2 }]);
  });

  it('that broke the processing are replayed after a release as well', async () => {
    const db = await open();
    const seeded = await seed(db);
    let isBroken = true;
    const { letters, deliver, clock } = rig(db, {
      ...acme,
      decode(message, context) {
        if (isBroken) throw new TypeError('a bug');
        return acme.decode(message, context);
      },
    });
    await deliver(seeded, acmeBody({ id: 'e1', device: 'cam-1', site: 'lobby' }));
    for (let attempt = 0; attempt < 5; attempt++) {
      clock.now += HOUR;
      await deliver(seeded, acmeBody({ id: 'e1', device: 'cam-1', site: 'lobby' }));
    }
    expect(await inboxOf(db)).toMatchObject([{ status: 'DEAD', stage: 'DELIVERY', attempts: 5 }]);
    isBroken = false;
    expect(await letters.replay(seeded.integration.id, { stages: ['DELIVERY'] })).toMatchObject({ replayed: 1 });
    expect(await eventsOf(db)).toHaveLength(1);
  });

  it('whose sender was refused are never replayed', async () => {
    const db = await open();
    const seeded = await seed(db);
    const { letters, deliver } = rig(db);
    await deliver(seeded, acmeBody({ id: 'e1', device: 'cam-9', site: 'lobby' }));
    await db.write((tx) => tx.updateTable('inbox').set({ status: 'REFUSED', stage: 'SIGNATURE' }).execute());
    const [letter] = await inboxOf(db);
    for (const selection of [{}, { ids: [deadLetterId(letter!)] }, { stages: ['SIGNATURE'] }]) {
      expect(await letters.replay(seeded.integration.id, selection)).toEqual({ replayed: 0, stillFailing: [] });
    }
    expect(await inboxOf(db)).toMatchObject([{ status: 'REFUSED', replays: 0 }]);
  });
});
