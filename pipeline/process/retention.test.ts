import { expect, it } from 'vitest';
import { readTail } from '../../storage/event-log.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acme, acmeBody, NOON, quiet, seed } from '../testing.ts';
import { createProcessor } from './processor.ts';
import { createRetention } from './retention.ts';

const DAY = 86_400_000;

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
});
