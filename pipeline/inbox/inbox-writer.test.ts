import { describe, expect, it } from 'vitest';
import type { Database, Tx } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import { acmeBody, NOON, quiet, seed } from '../testing.ts';
import { deliveryKey } from './delivery-key.ts';
import { type Arrival, createInboxWriter, InboxFullError } from './inbox-writer.ts';

function arrival(id: string, integrationId = 'int_a'): Arrival {
  const body = acmeBody({ id });
  return { orgId: 'org_a', integrationId, source: 'WEBHOOK', receivedAt: NOON, headers: '{}', body };
}

eachEngine('inbox writer', (open) => {
  it('puts deliveries that come together into few transactions, in their order', async () => {
    const db = await open();
    let transactions = 0;
    const counting: Database = {
      ...db,
      read: db.read,
      write<T>(job: (tx: Tx) => Promise<T>) {
        transactions += 1;
        return db.write(job);
      },
    };
    const inbox = createInboxWriter({ db: counting, logger: quiet });
    const receipts = await Promise.all(Array.from({ length: 1_200 }, (_, i) => inbox.append(arrival(`e${i}`))));
    expect(receipts.every(({ isDuplicate }) => !isDuplicate)).toBe(true);
    expect(transactions).toBe(3);
    const rows = await db.read.selectFrom('inbox').select('body').orderBy('id').execute();
    expect(rows.map(({ body }) => Buffer.from(body))).toEqual(receipts.map((_, i) => acmeBody({ id: `e${i}` })));
    expect(inbox.waiting).toBe(0);
  });

  it('rings once what it stored is visible, and not for repetitions', async () => {
    const db = await open();
    await seed(db);
    const inbox = createInboxWriter({ db, logger: quiet });
    const rings: string[] = [];
    db.doorbell.on('inbox', (topic) => rings.push(topic));
    await inbox.append(arrival('e1'));
    await inbox.append(arrival('e1'));
    expect(rings).toHaveLength(1);
  });

  it('answers several processes that are sent the same delivery with one new and many repeated', async () => {
    const db = await open();
    const writers = Array.from({ length: 3 }, () => createInboxWriter({ db, logger: quiet }));
    const receipts = await Promise.all(
      Array.from({ length: 60 }, (_, i) => writers[i % 3]!.append(arrival(`e${Math.floor(i / 6)}`))),
    );
    expect(receipts.filter(({ isDuplicate }) => !isDuplicate)).toHaveLength(10);
    expect(await db.read.selectFrom('inbox').select('id').execute()).toHaveLength(10);
  });

  it('stores what waits before it closes, and takes nothing afterwards', async () => {
    const db = await open();
    const inbox = createInboxWriter({ db, logger: quiet });
    const receipt = inbox.append(arrival('e1'));
    await inbox.close();
    expect(await receipt).toMatchObject({ isDuplicate: false });
    await expect(inbox.append(arrival('e2'))).rejects.toThrow(InboxFullError);
  });

  it('refuses by name what is more than may wait', async () => {
    const db = await open();
    const inbox = createInboxWriter({ db, logger: quiet });
    const outcomes = await Promise.allSettled(Array.from({ length: 10_050 }, (_, i) => inbox.append(arrival(`e${i}`))));
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(50);
    expect(refused[0]).toMatchObject({ reason: expect.any(InboxFullError) });
    const stored = await db.read
      .selectFrom('inbox')
      .select((eb) => eb.fn.countAll().as('count'))
      .executeTakeFirstOrThrow();
    expect(Number(stored.count)).toBe(10_000);
  });
});

describe('deliveryKey', () => {
  const instantOf = (text: string): number => deliveryKey('int_a', Buffer.from(text)).readUIntBE(0, 6);

  it.each([
    ['{"timestamp":"2026-02-04T14:32Z"}', Date.UTC(2026, 1, 4, 14, 32)],
    ['{"timestamp":"2026-02-04T14:32:59Z"}', Date.UTC(2026, 1, 4, 14, 32, 59)],
    ['{"timestamp":"2026-02-04T14:32:59.07Z"}', Date.UTC(2026, 1, 4, 14, 32, 59, 70)],
    ['{"timestamp":"2026-02-04T14:32:59.1234567Z"}', Date.UTC(2026, 1, 4, 14, 32, 59, 123)],
    ['{"at":1790000000}', 1_790_000_000_000],
    ['{"at":1790000000123}', 1_790_000_000_123],
    ['{"id":"12345678901234567890"}', 0],
    ['\u00ff', 0],
    ['', 0],
  ])('begins with the instant that stands in %s', (text, instant) => {
    expect(instantOf(text)).toBe(instant);
  });

  it('is the same for the same bytes of an integration, and for nothing else', () => {
    const key = (integration: string, text: string) => deliveryKey(integration, Buffer.from(text)).toString('hex');
    expect(key('int_a', 'x')).toBe(key('int_a', 'x'));
    expect(new Set([key('int_a', 'x'), key('int_b', 'x'), key('int_a', 'y'), key('int_', 'ax')]).size).toBe(4);
  });
});
