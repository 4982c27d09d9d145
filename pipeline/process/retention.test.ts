import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { insertEvents, readTail } from '../../storage/event-log.ts';
import { eventRow } from '../../storage/fixtures/event-rows.ts';
import type { History } from '../../storage/history-retention.ts';
import { verifyChain } from '../../storage/log-chain.ts';
import { isMediaLinkUsed, takeMediaLink } from '../../storage/media-links.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acme, acmeBody, NOON, quiet, seed } from '../testing.ts';
import { createProcessor } from './processor.ts';
import { createRetention } from './retention.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;

eachEngine('retention', (open) => {
  it('forgets each thing when its time has come, and remembers that the log has an end', async () => {
    const db = await open();
    await seed(db);
    const clock = { now: NOON };
    const now = () => clock.now;
    const inbox = createInboxWriter({ db, logger: quiet });
    const processor = createProcessor({ db, vendors: [acme], logger: quiet, now });
    const retention = createRetention({ db, logger: quiet, now });
    const deliver = async (id: string, site: string) => {
      const body = acmeBody({ id, site, at: clock.now });
      await inbox.append({
        orgId: 'org_a',
        integrationId: 'int_a',
        source: 'WEBHOOK',
        receivedAt: clock.now,
        headers: '{}',
        body,
      });
      await processor.process('int_a');
    };
    const left = async () => {
      const count = async (table: 'dedupe' | 'inbox' | 'events') =>
        Number(
          (
            await db.read
              .selectFrom(table)
              .select((eb) => eb.fn.countAll().as('count'))
              .executeTakeFirstOrThrow()
          ).count,
        );
      return { dedupe: await count('dedupe'), inbox: await count('inbox'), events: await count('events') };
    };
    await deliver('old', 'lobby');
    await deliver('dead', 'attic');
    clock.now += 5 * DAY;
    await deliver('newer', 'lobby');
    expect(await retention.run()).toBe(0);
    expect(await left()).toEqual({ dedupe: 5, inbox: 3, events: 2 });

    clock.now = NOON + 7 * DAY + 1;
    await retention.run();
    expect(await left()).toEqual({ dedupe: 5, inbox: 2, events: 2 });
    clock.now = NOON + 8 * DAY + 1;
    await retention.run();
    expect(await left()).toEqual({ dedupe: 2, inbox: 2, events: 2 });
    clock.now = NOON + 30 * DAY + 1;
    await retention.run();
    expect(await left()).toEqual({ dedupe: 0, inbox: 0, events: 2 });
    expect(await readTail(db)).toBe(0);
    clock.now = NOON + 90 * DAY + 1;
    await retention.run();
    expect(await left()).toEqual({ dedupe: 0, inbox: 0, events: 1 });
    expect(await readTail(db)).toBe(1);
  });

  it('takes an event for new again only when neither memory nor log know it', async () => {
    const db = await open();
    await seed(db);
    const clock = { now: NOON };
    const now = () => clock.now;
    const inbox = createInboxWriter({ db, logger: quiet });
    const processor = createProcessor({ db, vendors: [acme], logger: quiet, now });
    const retention = createRetention({ db, logger: quiet, now });
    const deliver = async (note: string) => {
      const body = Buffer.concat([
        acmeBody({ id: 'e1', site: 'lobby', at: NOON }),
        Buffer.from(' '.repeat(note.length)),
      ]);
      await inbox.append({
        orgId: 'org_a',
        integrationId: 'int_a',
        source: 'WEBHOOK',
        receivedAt: clock.now,
        headers: '{}',
        body,
      });
      await processor.process('int_a');
      return (await db.read.selectFrom('events').select('seq').execute()).length;
    };
    expect(await deliver('')).toBe(1);
    clock.now += 40 * DAY;
    await retention.run();
    expect(await deliver('a')).toBe(1);
    const inboxRows = await db.read.selectFrom('inbox').select('status').execute();
    expect(inboxRows).toEqual([{ status: 'DONE' }]);
  });

  it('forgets used links an hour after they have ended', async () => {
    const db = await open();
    const clock = { now: NOON };
    const retention = createRetention({ db, logger: quiet, now: () => clock.now });
    const [ended, lasting] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
    await takeMediaLink(db, ended, NOON);
    await takeMediaLink(db, lasting, NOON + DAY);
    clock.now = NOON + HOUR;
    await retention.run();
    expect(await isMediaLinkUsed(db, ended)).toBe(true);
    clock.now += 1;
    await retention.run();
    expect([await isMediaLinkUsed(db, ended), await isMediaLinkUsed(db, lasting)]).toEqual([false, true]);
  });

  it('forgets what is over after 400 days, and what syncs did after 90; what is not over stays', async () => {
    const db = await open();
    const clock = { now: NOON };
    const retention = createRetention({ db, logger: quiet, now: () => clock.now });
    await db.write(async (tx) => {
      const incident = {
        org_id: 'o',
        site_id: null,
        root_kind: 'DEVICE',
        cause: 'DEVICE_DOWN',
        summary: '',
        details: '{}',
        affected: 0,
      };
      const at = { opened_at: NOON, updated_at: NOON };
      await tx
        .insertInto('incidents')
        .values([
          { ...incident, ...at, id: 'over', root_id: 'a', closed_at: NOON },
          { ...incident, ...at, id: 'open', root_id: 'b', closed_at: null },
        ])
        .execute();
      const outage = { integration_id: 'i', cause: 'x' };
      await tx
        .insertInto('source_outages')
        .values([
          { ...outage, from_at: NOON - DAY, to_at: NOON },
          { ...outage, from_at: NOON, to_at: null },
        ])
        .execute();
      const segment = { device_id: 'd', reason: null };
      await tx
        .insertInto('status_segments')
        .values([
          { ...segment, from_at: NOON - DAY, to_at: NOON, state: 'OFFLINE' },
          { ...segment, from_at: NOON, to_at: null, state: 'ONLINE' },
        ])
        .execute();
      const rhythm = { integration_id: 'i', samples: 1, histogram: '[]', limit_ms: null };
      await tx
        .insertInto('rhythms')
        .values([
          { ...rhythm, type: 'DOOR', updated_at: NOON },
          { ...rhythm, type: 'CAMERA', updated_at: NOON + 300 * DAY },
        ])
        .execute();
      const code = { integration_id: 'i', org_id: 'o', count: 1, first_seen_at: NOON };
      await tx
        .insertInto('unknown_codes')
        .values([
          { ...code, code: 'old', last_seen_at: NOON },
          { ...code, code: 'new', last_seen_at: NOON + 300 * DAY },
        ])
        .execute();
      const run = {
        org_id: 'o',
        integration_id: 'i',
        trigger: 'SCHEDULE',
        state: 'OK',
        listed: 0,
        added: 0,
        updated: 0,
      };
      const rest = { removed: 0, unmapped: 0, errors: '[]', idempotency_key: null };
      await tx
        .insertInto('sync_runs')
        .values([
          { ...run, ...rest, id: 'old', started_at: NOON, finished_at: NOON },
          { ...run, ...rest, id: 'new', started_at: NOON + 300 * DAY, finished_at: NOON },
        ])
        .execute();
    });
    const left = async () => {
      const ids = async (table: History, column: string) => {
        const rows = await sql<{
          it: string;
        }>`select ${sql.ref(column)} as it from ${sql.table(table)} order by 1`.execute(db.read);
        return rows.rows.map(({ it }) => it);
      };
      return [
        await ids('incidents', 'id'),
        await ids('source_outages', 'from_at'),
        await ids('status_segments', 'state'),
        await ids('rhythms', 'type'),
        await ids('unknown_codes', 'code'),
        await ids('sync_runs', 'id'),
      ];
    };
    await retention.run();
    expect((await left()).map((ids) => ids.length)).toEqual([2, 2, 2, 2, 2, 2]);
    clock.now = NOON + 91 * DAY;
    await retention.run();
    expect((await left()).map((ids) => ids.length)).toEqual([2, 2, 2, 2, 2, 1]);
    clock.now = NOON + 400 * DAY + 1;
    await retention.run();
    expect(await left()).toEqual([['open'], [NOON], ['ONLINE'], ['CAMERA'], ['new'], []]);
  });

  it('seals the log before it forgets any of it', async () => {
    const db = await open();
    const clock = { now: NOON };
    const retention = createRetention({ db, logger: quiet, now: () => clock.now });
    await db.write(async (tx) => {
      const first = await db.takeSequence(tx, 2_500);
      const rows = Array.from({ length: 2_500 }, (_, at) => eventRow(first + at, { received_at: NOON + at }));
      await insertEvents(db, tx, rows);
    });
    await retention.run();
    expect(await verifyChain(db)).toMatchObject({ segments: 2, unsealed: 500, broken: [] });
    clock.now = NOON + 90 * DAY + 1_500;
    await retention.run();
    expect(await readTail(db)).toBe(1_500);
    expect(await verifyChain(db)).toMatchObject({ segments: 2, events: 500, unsealed: 0, broken: [] });
  });
});
