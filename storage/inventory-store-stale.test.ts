import { expect, it } from 'vitest';
import { createCursorCodec } from './cursor.ts';
import { deviceRow, FIXTURE_AT, insertFixture, integrationRow, orgRow, syncRunRow } from './fixtures/directory-rows.ts';
import { createInventoryStore } from './inventory-store.ts';
import { eachEngine } from './testing.ts';

const HOUR_MS = 3_600_000;
const vendors = [
  {
    slug: 'acme-vms',
    enumValue: 'ACME_VMS',
    name: 'Acme VMS',
    ingest: { syncIntervalMs: HOUR_MS, staleAfterMs: 3 * HOUR_MS },
  },
];

eachEngine('staleness where listings say no state', (openDb) => {
  it('goes by the last word on the device, however often it is listed', async () => {
    const db = await openDb();
    const int1 = integrationRow('int_1', 'org_a');
    const now = FIXTURE_AT + 4 * HOUR_MS;
    await insertFixture(db, {
      orgs: [orgRow('org_a')],
      sites: [],
      integrations: [int1],
      bindings: [],
      devices: [
        deviceRow(int1, 'silent', { state_observed_at: FIXTURE_AT }),
        deviceRow(int1, 'heard', { state_observed_at: now - 2 * HOUR_MS }),
      ],
      syncRuns: [syncRunRow('run_1', int1, { started_at: now - 1_000 })],
    });
    const store = createInventoryStore({ db, vendors, cursors: createCursorCodec(new Uint8Array(32)), now: () => now });
    const selection = { filter: { stale: true }, search: null };
    const totals = await store.totals({ orgIds: ['org_a'], siteIds: null }, selection, null);
    expect(totals.get('')).toBe(1);
    const listedAt = now - 1_000;
    expect(store.isStale('acme-vms', FIXTURE_AT, listedAt)).toBe(true);
    expect(store.isStale('acme-vms', now - 2 * HOUR_MS, listedAt)).toBe(false);
  });
});
