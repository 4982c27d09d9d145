import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { expect, it, onTestFinished, vi } from 'vitest';
import { eachEngine } from '../../storage/testing.ts';
import { macs } from '../fixtures/counted-macs.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acmeBody, NOON, quiet, seed, signed, testVault } from '../testing.ts';
import { createIntake } from './intake.ts';

vi.mock('node:crypto', async (importOriginal) =>
  (await import('../fixtures/counted-macs.ts')).countMacs(importOriginal),
);

eachEngine('refusing at the edge', (open) => {
  it('takes one MAC until the answer is given, known or unknown; what is examined is examined afterwards', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const inbox = createInboxWriter({ db, logger: quiet });
    const intake = createIntake({ db, vault: testVault, inbox, logger: quiet, now: () => NOON });
    onTestFinished(() => inbox.close());
    const body = acmeBody({ id: 'e1' });
    const headers = signed(body, NOON, 'x'.repeat(24));

    async function macsUntilAnswer(id: string): Promise<number> {
      macs.made = 0;
      let atAnswer = -1;
      const req = Object.assign(Readable.from([body]), { headers, url: `/webhooks/${id}` });
      const res = { headersSent: false, writeHead: () => res, end: () => (atAnswer = macs.made) };
      await intake.handle(req as unknown as IncomingMessage, res as unknown as ServerResponse, id);
      return atAnswer;
    }

    expect(await macsUntilAnswer('int_unknown')).toBe(1);
    expect(await macsUntilAnswer(integration.id)).toBe(1);
    await intake.close();
    expect(macs.made).toBeGreaterThan(100);
  });
});
