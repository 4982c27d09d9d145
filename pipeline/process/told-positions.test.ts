import { expect, it } from 'vitest';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { PositionDraft } from '../../adapter-kit/model.ts';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acme, acmeBody, NOON, quiet, seed } from '../testing.ts';
import { createProcessor } from './processor.ts';

const HALL = { latitude: 55.676098, longitude: 12.568337 };
const YARD = { latitude: 55.677098, longitude: 12.568337 };
const HOUR = 3_600_000;

async function start(db: Database) {
  const { integration } = await seed(db);
  const places = new Map<string, PositionDraft>();
  const vendor: Vendor = {
    ...acme,
    decode: (message, context) =>
      acme.decode(message, context).map((draft) => {
        const position = places.get(draft.vendorEventId ?? '');
        return position === undefined ? draft : { ...draft, position };
      }),
  };
  const processor = createProcessor({ db, vendors: [vendor], logger: quiet, now: () => NOON });
  const inbox = createInboxWriter({ db, logger: quiet });
  let count = 0;
  return {
    tell: async (position: PositionDraft, at = NOON, device = 'cam-1') => {
      const id = `e${count++}`;
      places.set(id, position);
      const body = acmeBody({ id, device, at });
      await inbox.append({
        orgId: 'org_a',
        integrationId: 'int_a',
        source: 'WEBHOOK',
        receivedAt: NOON,
        headers: '{}',
        body,
      });
      await processor.process(integration.id);
    },
    place: async () => {
      const columns = ['native_id', 'latitude', 'longitude', 'updated_at'] as const;
      return db.read.selectFrom('devices').select(columns).where('native_id', '=', 'cam-1').executeTakeFirstOrThrow();
    },
    moves: () => db.read.selectFrom('inventory_changes').select(['kind', 'fields', 'site_id']).orderBy('seq').execute(),
    told: () => db.read.selectFrom('events').selectAll().where('family', '=', 'INVENTORY').orderBy('seq').execute(),
    revision: async () => (await db.read.selectFrom('orgs').select('revision').executeTakeFirstOrThrow()).revision,
  };
}

eachEngine('positions in events', (open) => {
  it("become the device's, and a move of more than 25 m is told as a change of the inventory", async () => {
    const db = await open();
    const { tell, place, moves, told, revision } = await start(db);
    await tell(HALL);
    expect(await place()).toMatchObject({ ...HALL, updated_at: NOON });
    const before = await revision();
    await tell({ ...HALL, latitude: HALL.latitude + 0.0001 });
    expect(await place()).toMatchObject(HALL);
    await tell(YARD);
    expect(await place()).toMatchObject(YARD);
    expect(await revision()).toBeGreaterThan(before);
    expect(await moves()).toMatchObject([
      { kind: 'UPDATED', site_id: 'site_a', fields: expect.stringContaining('"before":null') },
      {
        kind: 'UPDATED',
        fields: '[{"name":"coordinates","before":"55.676098, 12.568337","after":"55.677098, 12.568337"}]',
      },
    ]);
    expect(await told()).toMatchObject([
      { type: 'inventory.updated' },
      { type: 'inventory.updated', summary: 'cam-1 was changed: coordinates' },
    ]);
  });

  it('of events that are old say where a device was, and change nothing', async () => {
    const db = await open();
    const { tell, place, told } = await start(db);
    await tell(HALL);
    await tell(YARD, NOON - HOUR - 1);
    await tell({ latitude: 0, longitude: 0 });
    await tell(YARD, NOON, 'cam-unknown');
    expect(await place()).toMatchObject(HALL);
    expect(await told()).toHaveLength(1);
  });
});
