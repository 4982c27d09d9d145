import { describe, expect, it, onTestFinished } from 'vitest';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acme, acmeBody, NOON, quiet, seed } from '../testing.ts';
import { createProcessor } from './processor.ts';
import { AGREEING_BATCHES, MAX_SKEW_MS, observedSkew } from './source-clock.ts';

describe('observedSkew', () => {
  const sample = (sentAt: number | null, ...occurredAt: number[]) => ({ receivedAt: 10_000, sentAt, occurredAt });

  it.each([
    ['the fastest delivery', [sample(2_000), sample(9_500), sample(4_000)], 500],
    ['an event of the future', [sample(null, 1_000, 30_000)], -20_000],
    ['an event of the future over the sender’s own word', [sample(9_900, 30_000)], -20_000],
  ])('goes by %s', (_, samples, skew) => {
    expect(observedSkew(samples)).toBe(skew);
  });

  it('learns nothing from events of the past: they may be late', () => {
    expect(observedSkew([sample(null, 1, 2, 3)])).toBeNull();
    expect(observedSkew([])).toBeNull();
  });
});

eachEngine('clocks of sources', (open) => {
  async function start() {
    const db = await open();
    const { integration } = await seed(db);
    const clock = { now: NOON };
    const inbox = createInboxWriter({ db, logger: quiet });
    const processor = createProcessor({ db, vendors: [acme], logger: quiet, now: () => clock.now });
    onTestFinished(async () => {
      await processor.stop();
      await inbox.close();
    });
    let number = 0;

    /** As many batches of one delivery, from a sender whose clock is `skewMs` behind. */
    async function batches(count: number, skewMs: number): Promise<void> {
      for (let batch = 0; batch < count; batch += 1) {
        clock.now += 60_000;
        const at = clock.now - skewMs;
        await inbox.append({
          orgId: integration.org_id,
          integrationId: integration.id,
          source: 'WEBHOOK',
          receivedAt: clock.now,
          headers: JSON.stringify({ 'webhook-timestamp': String(Math.floor(at / 1_000)) }),
          body: acmeBody({ id: `e${(number += 1)}`, at, device: 'cam-1' }),
        });
        await processor.process(integration.id);
      }
    }
    const told = async () =>
      (await db.read.selectFrom('events').selectAll().where('family', '=', 'SYSTEM').orderBy('seq').execute()).map(
        ({ type, severity, summary }) => ({ type, severity, summary }),
      );
    return { db, batches, told };
  }

  it('are warned of once when they go wrong, and once more when they are right again', async () => {
    const { batches, told, db } = await start();
    await batches(5, 0);
    await batches(AGREEING_BATCHES - 1, 42_000);
    expect(await told()).toEqual([]);
    await batches(6, 42_000);
    expect(await told()).toMatchObject([
      { type: 'system.clock_skewed', summary: expect.stringContaining('42 s behind') },
    ]);
    await batches(6, 0);
    expect(await told()).toMatchObject([{ type: 'system.clock_skewed' }, { type: 'system.clock_corrected' }]);
    const skews = await db.read.selectFrom('events').select('clock_skew_ms').where('family', '=', 'HEALTH').execute();
    expect(skews.filter(({ clock_skew_ms: skew }) => skew === 42_000)).toHaveLength(AGREEING_BATCHES - 1 + 6);
  });

  it('may be ahead, too', async () => {
    const { batches, told } = await start();
    await batches(AGREEING_BATCHES, -30_000);
    expect(await told()).toMatchObject([{ summary: expect.stringContaining('30 s ahead') }]);
  });

  it('are trusted within the usual', async () => {
    const { batches, told } = await start();
    await batches(AGREEING_BATCHES + 2, MAX_SKEW_MS - 1_000);
    expect(await told()).toEqual([]);
    await batches(AGREEING_BATCHES, 3_000);
    expect(await told()).toMatchObject([{ summary: expect.stringContaining('3 s behind') }]);
  });

  it('are not judged by single deliveries that were held up', async () => {
    const { batches, told } = await start();
    for (let round = 0; round < 4; round += 1) {
      await batches(AGREEING_BATCHES - 1, 42_000);
      await batches(1, 0);
    }
    expect(await told()).toEqual([]);
  });
});
