import { expect, it, onTestFinished } from 'vitest';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { AccessScope } from '../../schema/principal.ts';
import { eachEngine } from '../../storage/testing.ts';
import { MAX_CODES, readUnknownCodes } from '../../storage/unknown-codes.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acme, acmeBody, NOON, quiet, seed } from '../testing.ts';
import { createProcessor } from './processor.ts';

/** What an event says of itself is a code that nobody knows; health is known. */
const vendor: Vendor = {
  ...acme,
  decode: (message, context) =>
    acme
      .decode(message, context)
      .map((draft) => (draft.family === 'SYSTEM' ? { ...draft, unknownCode: draft.type } : draft)),
};
const EVERYTHING: AccessScope = { orgIds: 'all', siteIds: null };

eachEngine('unknown codes', (open) => {
  async function start() {
    const db = await open();
    const seeded = await seed(db);
    const { id: integrationId, org_id: orgId } = seeded.integration;
    const inbox = createInboxWriter({ db, logger: quiet });
    const processor = createProcessor({ db, vendors: [vendor], logger: quiet, now: () => NOON });
    onTestFinished(async () => {
      await processor.stop();
      await inbox.close();
    });
    const deliver = async (events: readonly { id: string; type: string; family?: 'HEALTH' }[], receivedAt = NOON) => {
      const body = acmeBody(...events.map((event) => ({ family: 'SYSTEM' as const, site: 'lobby', ...event })));
      await inbox.append({ orgId, integrationId, source: 'WEBHOOK', receivedAt, headers: '{}', body });
      await processor.process(integrationId);
    };
    const codes = async (access = EVERYTHING) =>
      (await readUnknownCodes(db, access, [integrationId])).map(({ code, count, first_seen_at, last_seen_at }) => ({
        code,
        count,
        from: first_seen_at - NOON,
        to: last_seen_at - NOON,
      }));
    return { db, deliver, codes, seeded };
  }

  it('are counted once per event, with the first and the last time', async () => {
    const { deliver, codes } = await start();
    await deliver([
      { id: 'e1', type: 'vendor.chime' },
      { id: 'e2', type: 'vendor.chime' },
      { id: 'e3', type: 'vendor.kettle' },
      { id: 'e4', type: 'health.online', family: 'HEALTH' },
    ]);
    // The second is the same event again: no new one.
    await deliver(
      [
        { id: 'e5', type: 'vendor.chime' },
        { id: 'e1', type: 'vendor.chime' },
      ],
      NOON + 5_000,
    );
    expect(await codes()).toEqual([
      { code: 'vendor.chime', count: 3, from: 0, to: 5_000 },
      { code: 'vendor.kettle', count: 1, from: 0, to: 0 },
    ]);
  });

  it('are told apart up to a bound, and counted together beyond it', async () => {
    const { deliver, codes } = await start();
    const events = Array.from({ length: MAX_CODES + 30 }, (_, index) => ({
      id: `e${index}`,
      type: `vendor.x${index}`,
    }));
    await deliver(events.slice(0, 150));
    await deliver(events.slice(150));
    await deliver([
      { id: 'more', type: 'vendor.x5' },
      { id: 'new', type: 'vendor.never_seen' },
    ]);
    const found = await codes();
    expect(found).toHaveLength(MAX_CODES + 1);
    expect(found[0]).toMatchObject({ code: '*', count: 31 });
    expect(found[1]).toMatchObject({ code: 'vendor.x5', count: 2 });
  });

  it('make room when they were not seen for a month', async () => {
    const { deliver, codes } = await start();
    const events = Array.from({ length: MAX_CODES }, (_, index) => ({ id: `e${index}`, type: `vendor.x${index}` }));
    await deliver(events, NOON - 31 * 86_400_000);
    await deliver([{ id: 'again', type: 'vendor.x0' }], NOON - 86_400_000);
    await deliver([{ id: 'new', type: 'vendor.new' }]);
    expect((await codes()).map(({ code, count }) => [code, count])).toEqual([
      ['vendor.x0', 2],
      ['vendor.new', 1],
    ]);
  });

  it('are of the whole integration: nobody else, and nobody of some sites only, sees them', async () => {
    const { deliver, codes, seeded } = await start();
    await deliver([{ id: 'e1', type: 'vendor.chime' }]);
    expect(await codes({ orgIds: [seeded.orgId], siteIds: null })).toHaveLength(1);
    expect(await codes({ orgIds: ['org_other'], siteIds: null })).toEqual([]);
    expect(await codes({ orgIds: [seeded.orgId], siteIds: [seeded.siteId] })).toEqual([]);
  });
});
