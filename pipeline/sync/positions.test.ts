import { describe, expect, it } from 'vitest';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import {
  createParts,
  device,
  FakePlatform,
  seedBinding,
  seedIntegration,
  seedOrg,
  seedSite,
} from '../integrations/testing.ts';
import { createSyncEngine } from './engine.ts';
import { metresBetween, MOVED_METRES, movedTo, soundPosition } from './positions.ts';

const HALL = { latitude: 55.676098, longitude: 12.568337 };
/** One metre to the north. */
const METRE = 1 / 111_195;

function north(metres: number) {
  return { ...HALL, latitude: HALL.latitude + metres * METRE };
}

describe('position of a device', () => {
  it.each([
    [HALL, { latitude: 59.3293, longitude: 18.0686 }, 522_000, 3_000],
    [{ latitude: 0, longitude: 179.9999 }, { latitude: 0, longitude: -179.9999 }, 22, 1],
    [{ latitude: 90, longitude: 0 }, { latitude: 90, longitude: 120 }, 0, 0.001],
    [HALL, north(30), 30, 0.5],
  ])('from %j to %j is %i m', (a, b, metres, within) => {
    expect(Math.abs(metresBetween(a, b) - metres)).toBeLessThan(within);
  });

  it.each([
    [{ latitude: 0, longitude: 0 }, null],
    [{ latitude: 91, longitude: 0 }, null],
    [{ latitude: 0, longitude: -181 }, null],
    [{ latitude: Number.NaN, longitude: 1 }, null],
    [null, null],
    [HALL, HALL],
  ])('told as %j is %j', (told, sound) => {
    expect(soundPosition(told)).toEqual(sound);
  });

  it('is news when there was none, and beyond the noise of a receiver', () => {
    const nowhere = { latitude: null, longitude: null };
    expect(movedTo(nowhere, HALL)).toEqual(HALL);
    expect(movedTo(HALL, north(MOVED_METRES - 1))).toBeNull();
    expect(movedTo(HALL, north(MOVED_METRES + 1))).toEqual(north(MOVED_METRES + 1));
    expect(movedTo(HALL, null)).toBeNull();
  });
});

async function start(db: Database) {
  const platform = new FakePlatform();
  const engine = createSyncEngine(createParts(db, platform));
  const orgId = await seedOrg(db);
  const id = await seedIntegration(db, orgId);
  await seedBinding(db, { orgId, integrationId: id, siteId: await seedSite(db, orgId) });
  return {
    platform,
    sync: () => engine.run({ integrationId: id, trigger: 'SCHEDULE' }),
    place: () => db.read.selectFrom('devices').select(['latitude', 'longitude']).executeTakeFirstOrThrow(),
    changes: async () => {
      const rows = await db.read.selectFrom('inventory_changes').select(['kind', 'fields']).orderBy('seq').execute();
      return rows.map(({ kind, fields }): unknown => [kind, JSON.parse(fields)]);
    },
    told: async () => {
      const rows = await db.read.selectFrom('events').select(['type', 'summary']).orderBy('seq').execute();
      return rows.filter(({ type }) => type.startsWith('inventory.'));
    },
  };
}

eachEngine('positions in an inventory', (open) => {
  it('are kept, and a move of more than 25 m is a change and an event; less is neither', async () => {
    const db = await open();
    const { platform, sync, place, changes, told } = await start(db);
    platform.devices = [{ ...device('a'), position: HALL }];
    await sync();
    expect(await place()).toEqual(HALL);
    platform.devices = [{ ...device('a'), position: north(10) }];
    await sync();
    expect(await place()).toEqual(HALL);
    platform.devices = [{ ...device('a'), position: north(100) }];
    await sync();
    expect(await place()).toEqual(north(100));
    expect(await changes()).toEqual([
      ['ADDED', []],
      [
        'UPDATED',
        [{ name: 'coordinates', before: '55.676098, 12.568337', after: `${north(100).latitude}, 12.568337` }],
      ],
    ]);
    expect(await told()).toMatchObject([
      { type: 'inventory.updated', summary: expect.stringContaining('coordinates') },
    ]);
  });

  it('stay when the platform stops telling them, also when something else changes', async () => {
    const db = await open();
    const { platform, sync, place, changes } = await start(db);
    platform.devices = [{ ...device('a'), position: HALL }];
    await sync();
    platform.devices = [{ ...device('a'), name: 'renamed' }];
    await sync();
    expect(await place()).toEqual(HALL);
    expect((await changes()).at(-1)).toEqual(['UPDATED', [expect.objectContaining({ name: 'name' })]]);
  });
});
