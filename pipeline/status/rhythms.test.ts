import { expect, it } from 'vitest';
import { eachEngine } from '../../storage/testing.ts';
import { ManualClock } from '../integrations/testing.ts';
import { acme, quiet, seed } from '../testing.ts';
import { MIN_SAMPLES } from './rhythm.ts';
import { createRhythms } from './rhythms.ts';

const HOUR = 3_600_000;
/** Its listings say no state. */
const quietVendor = { slug: acme.slug, ingest: { ...acme.ingest, staleAfterMs: 48 * HOUR } };

eachEngine('learned rhythms', (open) => {
  async function start(vendor: Pick<typeof acme, 'slug' | 'ingest'> = quietVendor) {
    const db = await open();
    const { integration } = await seed(db);
    const make = () => createRhythms({ db, vendors: [vendor], clock: new ManualClock(), logger: quiet });
    return { db, id: integration.id, make };
  }

  it('add up over processes and survive a restart', async () => {
    const { id, make } = await start();
    const [one, other] = [make(), make()];
    await one.start();
    await other.start();
    for (let index = 0; index < MIN_SAMPLES / 2; index += 1) {
      one.note(id, 'DETECTOR', HOUR);
      other.note(id, 'DETECTOR', HOUR);
    }
    expect(one.silenceLimitOf(id, 'DETECTOR')).toBeNull();
    await one.stop();
    await other.stop();
    const later = make();
    await later.start();
    expect(later.silenceLimitOf(id, 'DETECTOR')).toBeGreaterThanOrEqual(3 * HOUR);
    expect(later.silenceLimitOf(id, 'SIREN')).toBeNull();
    await later.stop();
  });

  it('learn nothing where listings confirm devices', async () => {
    const { db, id, make } = await start(acme);
    const rhythms = make();
    await rhythms.start();
    for (let index = 0; index < 2 * MIN_SAMPLES; index += 1) rhythms.note(id, 'CAMERA', HOUR);
    await rhythms.flush();
    expect(rhythms.silenceLimitOf(id, 'CAMERA')).toBeNull();
    expect(await db.read.selectFrom('rhythms').selectAll().execute()).toEqual([]);
    await rhythms.stop();
  });
});
