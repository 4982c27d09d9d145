import { expect, it, onTestFinished } from 'vitest';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import { parseLocalTime } from '../../adapter-kit/local-time.ts';
import { createDeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import { createInboxWriter } from '../../pipeline/inbox/inbox-writer.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { createLogTail } from '../../pipeline/stream/log-tail.ts';
import { acme, acmeBody, NOON, quiet, seed } from '../../pipeline/testing.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { createEventsSubgraph } from './index.ts';

const ZONE = 'Europe/Berlin';

/** A platform that writes what its wall clock shows. */
const wallClock: Vendor = {
  ...acme,
  decode: (message, context) =>
    acme.decode(message, context).map((draft) => {
      const local = parseLocalTime(draft.vendorEventId ?? '', ZONE);
      if (local === null) throw new TypeError('the test sends local times as ids');
      return {
        ...draft,
        occurredAt: local.at,
        details: { ...draft.details, ...(local.doubt === null ? {} : { localTime: local.doubt }) },
      };
    }),
};

eachEngine('events with local times', (open) => {
  it('are in UTC, and say it when their hour came twice', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const inbox = createInboxWriter({ db, logger: quiet });
    const processor = createProcessor({ db, vendors: [wallClock], logger: quiet, now: () => NOON });
    const tail = createLogTail({ db, logger: quiet });
    onTestFinished(async () => {
      await tail.stop();
      await processor.stop();
      await inbox.close();
    });
    for (const id of ['2026-10-25T01:30:00', '2026-10-25T02:30:00', '2026-10-25T03:30:00']) {
      await inbox.append({
        orgId: integration.org_id,
        integrationId: integration.id,
        source: 'WEBHOOK',
        receivedAt: NOON,
        headers: '{}',
        body: acmeBody({ id, device: 'cam-1', site: 'lobby' }),
      });
    }
    await processor.process(integration.id);
    const subgraph = createEventsSubgraph(
      {
        db,
        cursors: createCursorCodec(Buffer.alloc(32, 5)),
        tail,
        deadLetters: createDeadLetters({ db, processor }),
        now: () => NOON,
      },
      [wallClock],
    );
    const { data, errors } = await ask(subgraph, principal({}), '{ events { nodes { occurredAt localTimeDoubt } } }');
    expect(errors).toEqual([]);
    expect(data.events.nodes).toEqual([
      { occurredAt: '2026-10-25T02:30:00.000Z', localTimeDoubt: null },
      { occurredAt: '2026-10-25T00:30:00.000Z', localTimeDoubt: 'AMBIGUOUS' },
      { occurredAt: '2026-10-24T23:30:00.000Z', localTimeDoubt: null },
    ]);
  });
});
