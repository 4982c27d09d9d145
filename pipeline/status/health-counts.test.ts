import { expect, it } from 'vitest';
import { DEVICE_STATES, type DeviceState } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import { countedHealth, keptHealth } from '../../storage/fixtures/health-model.ts';
import { foldHealthDeltas } from '../../storage/health-counts.ts';
import { eachEngine } from '../../storage/testing.ts';
import { stateDraft } from '../fixtures/devices-online.ts';
import {
  createParts,
  device,
  FakePlatform,
  principalOf,
  seedBinding,
  seedIntegration,
  seedOrg,
  seedSite,
  TEST_NOW,
} from '../integrations/testing.ts';
import { createSyncEngine } from '../sync/engine.ts';
import { rebindDevices } from '../sync/rebind.ts';
import { createMaintenance } from './maintenance.ts';

// The counts are kept by triggers; this holds them against what the product's own writers do, one by one and together.

/** Numbers that look random and are the same in every run. */
function createDice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * sides);
  };
}

function stateEvent(nativeDeviceId: string, state: DeviceState, at: number) {
  return stateDraft(nativeDeviceId, state, at, {
    vendorEventId: `${nativeDeviceId}-${at}`,
    severity: 'INFO',
    nativeOrgId: 'account-1',
    claim: { state, reason: null, vendorState: null, observedAt: new Date(at) },
  });
}

eachEngine('health counts', (open) => {
  async function setUp(db: Database, orgId: string, sites: readonly [string, string], dice: (sides: number) => number) {
    const platform = new FakePlatform();
    const parts = createParts(db, platform);
    const engine = createSyncEngine(parts);
    const id = await seedIntegration(db, orgId);
    await seedBinding(db, { orgId, integrationId: id, siteId: sites[0] });
    const integration = await db.read
      .selectFrom('integrations')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    let at = TEST_NOW;
    const anyState = (): DeviceState => DEVICE_STATES[dice(DEVICE_STATES.length)] ?? 'UNKNOWN';

    async function sync(): Promise<void> {
      at += 1_000;
      await parts.clock.advance(1_000);
      platform.devices = Array.from({ length: 12 }, (_, index) =>
        device(`d${index}`, {
          nativeSiteId: `site-${1 + dice(3)}`,
          status: { state: anyState(), reason: null, vendorState: null, observedAt: new Date(at) },
        }),
      ).filter(() => dice(4) > 0);
      await engine.run({ integrationId: id, trigger: 'SCHEDULE' });
    }

    async function report(): Promise<void> {
      at += 1_000;
      await parts.clock.advance(1_000);
      const drafts = Array.from({ length: 8 }, (_, index) => stateEvent(`d${dice(12)}`, anyState(), at + index));
      await db.write((tx) => parts.events.writeEvents(tx, integration, drafts, 'WEBHOOK', at + 10));
    }

    async function rebind(): Promise<void> {
      const place = { org_id: orgId, integration_id: id, vendor_org_id: 'account-1', vendor_site_id: 'site-2' };
      await db.write(async (tx) => {
        const { numDeletedRows } = await tx
          .deleteFrom('site_bindings')
          .where('integration_id', '=', id)
          .where('vendor_site_id', '=', 'site-2')
          .executeTakeFirst();
        if (numDeletedRows === 0n) {
          const own = { id: `bind_${id}`, vendor_site_name: null, site_id: sites[1], created_at: at };
          await tx
            .insertInto('site_bindings')
            .values({ ...place, ...own })
            .execute();
        }
        await rebindDevices(tx, { db, integration, now: at }, 'site-2');
      });
    }
    return { sync, report, rebind };
  }

  async function settled(db: Database) {
    const kept = await keptHealth(db);
    expect(kept).toEqual(await countedHealth(db));
    return kept;
  }

  it('follow syncs, events, removals, bindings and planned work', async () => {
    const db = await open();
    const dice = createDice(17);
    const orgId = await seedOrg(db);
    const sites = [await seedSite(db, orgId), await seedSite(db, orgId, 'Other')] as const;
    const { sync, report, rebind } = await setUp(db, orgId, sites, dice);
    const maintenance = createMaintenance({ db, now: () => TEST_NOW });
    const seen = { removed: 0, planned: 0, offline: 0 };
    for (let step = 0; step < 24; step += 1) {
      await [sync, report, sync, rebind][dice(4)]?.();
      if (step % 8 === 3) {
        const span = { from: TEST_NOW - 1, to: TEST_NOW + 1, reason: 'work' };
        await maintenance.create(principalOf([orgId]), { ...span, siteId: sites[step > 8 ? 1 : 0] });
      }
      const counts = [...(await settled(db)).values()];
      seen.planned += counts.reduce((sum, { inMaintenance }) => sum + inMaintenance, 0);
      seen.offline += counts.reduce((sum, { offline }) => sum + offline, 0);
    }
    const removals = db.read.selectFrom('inventory_changes').select('seq').where('kind', '=', 'REMOVED');
    seen.removed = (await removals.execute()).length;
    expect(Math.min(seen.removed, seen.planned, seen.offline)).toBeGreaterThan(0);
  });

  it('follow integrations that write about the same sites at the same time', async () => {
    const db = await open();
    const orgId = await seedOrg(db);
    const sites = [await seedSite(db, orgId), await seedSite(db, orgId, 'Other')] as const;
    const [a, b] = await Promise.all([
      setUp(db, orgId, sites, createDice(3)),
      // The other way round: what one holds first, the other wants last.
      setUp(db, orgId, [sites[1], sites[0]], createDice(5)),
    ]);
    for (let round = 0; round < 6; round += 1) {
      await Promise.all([a.sync(), b.sync(), foldHealthDeltas(db)]);
      await Promise.all([a.report(), b.rebind(), a.report(), b.report()]);
    }
    expect((await settled(db)).size).toBeGreaterThan(1);
  });
});
