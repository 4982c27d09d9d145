import { expect, it } from 'vitest';
import { findOldestPending, hasPending } from '../../storage/inbox.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acmeBody, NOON, quiet, seed } from '../testing.ts';

eachEngine('what waits to be processed', (open) => {
  it('is counted over all integrations, without what is done or dead', async () => {
    const db = await open();
    const all = [await seed(db, { name: 'a' }), await seed(db, { name: 'b' })];
    const inbox = createInboxWriter({ db, logger: quiet });
    expect([await hasPending(db, 1), await findOldestPending(db)]).toEqual([false, null]);
    for (const [at, { orgId, integration }] of all.entries()) {
      for (let number = 0; number < 5; number++) {
        const receivedAt = NOON + at * 1_000 + number;
        const body = acmeBody({ id: `e${number}` });
        await inbox.append({
          orgId,
          integrationId: integration.id,
          source: 'WEBHOOK',
          receivedAt,
          headers: '{}',
          body,
        });
      }
    }
    await inbox.close();
    expect([await hasPending(db, 10), await hasPending(db, 11), await findOldestPending(db)]).toEqual([
      true,
      false,
      NOON,
    ]);

    // The first stays: the numbers still span all ten, and only two of them wait.
    const rows = await db.read.selectFrom('inbox').select('id').orderBy('id').execute();
    const settled = rows.slice(1, 9).map(({ id }) => id);
    await db.write(async (tx) => {
      await tx
        .updateTable('inbox')
        .set({ status: 'DONE', settled_at: NOON })
        .where('id', 'in', settled.slice(0, 4))
        .execute();
      await tx
        .updateTable('inbox')
        .set({ status: 'DEAD', settled_at: NOON })
        .where('id', 'in', settled.slice(4))
        .execute();
    });
    expect([await hasPending(db, 2), await hasPending(db, 3), await findOldestPending(db)]).toEqual([
      true,
      false,
      NOON,
    ]);
  });
});
