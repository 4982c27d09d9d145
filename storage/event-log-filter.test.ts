import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readSelection } from './event-log.ts';
import { eventPredicate } from './event-log-filter.ts';
import { anyAccess, anyFilter, storeSampleEvents } from './fixtures/event-samples.ts';
import { eachEngine } from './testing.ts';

eachEngine('event filter', (open) => {
  it('chooses the same rows in SQL as in memory', async () => {
    const db = await open();
    const logged = await storeSampleEvents(db, 400);
    let chosen = 0;
    await fc.assert(
      fc.asyncProperty(anyAccess, anyFilter, async (access, filter) => {
        const span = { after: 0, upTo: logged.length, limit: logged.length };
        const found = await readSelection(db, { access, filter }, span);
        const expected = logged.filter(eventPredicate(access, filter));
        chosen += expected.length;
        expect(found.map(({ seq }) => seq)).toEqual(expected.map(({ seq }) => seq));
      }),
      { numRuns: 300 },
    );
    expect(chosen).toBeGreaterThan(300);
  });
});
