import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { DEVICE_STATES, DEVICE_TYPES } from '../schema/words.ts';
import { createCursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import { minutes, modelFilter } from './fixtures/device-model.ts';
import {
  deviceRow,
  FIXTURE_AT,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
  syncRunRow,
} from './fixtures/directory-rows.ts';
import { createInventoryStore, type InventoryStore } from './inventory-store.ts';
import { type DeviceFilter, matchesSearch } from './inventory-store-filter.ts';
import type { DeviceRow } from './rows.ts';
import { eachEngine } from './testing.ts';

const EVERYONE = { orgIds: 'all', siteIds: null } as const;
const HOUR_MS = 3_600_000;
const vendors = [
  { slug: 'acme-vms', enumValue: 'ACME_VMS', name: 'Acme VMS', ingest: { syncIntervalMs: HOUR_MS } },
  { slug: 'brick-panel', enumValue: 'BRICK_PANEL', name: 'Brick panel', ingest: { syncIntervalMs: HOUR_MS } },
];
// Twice the interval after a listing that begins at FIXTURE_AT.
const NOW = FIXTURE_AT + 2 * HOUR_MS + minutes(30) - FIXTURE_AT;

// Few values, so that they meet; with case beyond ASCII, LIKE's own characters and what both engines treat specially.
const NAMES = ['Door 1', 'door 10', 'DOOR_1', 'Tür 100%', 'tür', 'TÜR', String.raw`a\b`, 'Ω', 'ω2', ''];
const MODELS = ['M1', 'm1', 'X-200', null];
const TAGS = ['roof', 'Roof', 'vip', 'a b'];
const MACS = ['00:1b:44:11:3a:b7', '00:1b:44:11:3a:b8'];

const orgs = [orgRow('org_a'), orgRow('org_b')];
const sites = [siteRow('site_a', 'org_a'), siteRow('site_b', 'org_b')];
const integrations = [
  integrationRow('int_a', 'org_a'),
  integrationRow('int_b', 'org_b', { vendor: 'brick-panel' }),
  integrationRow('int_c', 'org_a', { vendor: 'gone-vendor' }),
];

const device = fc.record({
  integration: fc.constantFrom(...integrations),
  isAtSite: fc.boolean(),
  name: fc.constantFrom(...NAMES),
  model: fc.constantFrom(...MODELS),
  firmware: fc.constantFrom('1.0', '1.1', null),
  type: fc.constantFrom(...DEVICE_TYPES.slice(0, 3)),
  state: fc.constantFrom(...DEVICE_STATES),
  ip: fc.constantFrom('10.0.0.1', 'fe80::1', null),
  tags: fc.uniqueArray(fc.constantFrom(...TAGS)),
  macs: fc.uniqueArray(fc.constantFrom(...MACS)),
  observed: fc.integer({ min: -30, max: 60 }),
  updated: fc.integer({ min: 0, max: 5 }),
  since: fc.integer({ min: 0, max: 5 }),
  endOfSupport: fc.option(fc.integer({ min: 0, max: 5 })),
  isRemoved: fc.boolean(),
  isFlapping: fc.boolean(),
  maintenance: fc.constantFrom('mw_a', null),
});

type Drawn = typeof device extends fc.Arbitrary<infer T> ? T : never;

function toRow(it: Drawn, index: number): DeviceRow {
  return deviceRow(it.integration, `native-${index}`, {
    site_id: it.isAtSite ? it.integration.org_id.replace('org', 'site') : null,
    name: it.name,
    model: it.model,
    firmware: it.firmware,
    type: it.type,
    state: it.state,
    ip: it.ip,
    tags: JSON.stringify(it.tags),
    mac_addresses: JSON.stringify(it.macs),
    state_observed_at: minutes(it.observed),
    state_since: minutes(it.since),
    updated_at: minutes(it.updated),
    end_of_support_at: it.endOfSupport === null ? null : minutes(it.endOfSupport),
    removed_at: it.isRemoved ? FIXTURE_AT : null,
    flapping: it.isFlapping ? 1 : 0,
    maintenance_id: it.maintenance,
  });
}

const some = <T>(values: readonly T[]) => fc.array(fc.constantFrom(...values), { maxLength: 3 });
const piece = fc.constantFrom('door', 'DOOR', 'ür', 'Ü', '%', '_', '\\', '1', 'ω', 'm', '');
const text = fc.record(
  { eq: fc.constantFrom(...NAMES, 'm1'), in: some([...NAMES, 'M1']), contains: piece, startsWith: piece },
  { requiredKeys: [] },
);
const span = fc.record(
  { gte: fc.integer({ min: 0, max: 5 }).map(minutes), lt: fc.integer({ min: 0, max: 5 }).map(minutes) },
  { requiredKeys: [] },
);

const membersOf = (inner: fc.Arbitrary<DeviceFilter>) => ({
  orgId: fc.constantFrom('org_a', 'org_b', 'org_x', '\0'),
  siteIds: some(['site_a', 'site_b', 'site_x']),
  integrationIds: some(['int_a', 'int_b', 'int_c']),
  types: some(DEVICE_TYPES.slice(0, 3)),
  vendors: some(['ACME_VMS', 'BRICK_PANEL', 'OTHER']),
  states: some(DEVICE_STATES),
  tagsAny: some(TAGS),
  tagsAll: some(TAGS),
  name: text,
  model: text,
  firmware: text,
  macAddress: fc.constantFrom(...MACS),
  ip: fc.constantFrom('10.0.0.1', 'fe80::1'),
  externalId: fc.record({
    namespace: fc.constantFrom('acme-vms:device-id', 'brick-panel:device-id'),
    value: fc.constantFrom('native-1', 'native-2'),
  }),
  stale: fc.boolean(),
  flapping: fc.boolean(),
  inMaintenance: fc.boolean(),
  endOfSupportBefore: fc.integer({ min: 0, max: 5 }).map(minutes),
  updatedAt: span,
  statusSince: span,
  includeRemoved: fc.boolean(),
  or: fc.array(inner, { maxLength: 3 }),
  not: inner,
});

/** One to three members at each level: with more of them nearly nothing ever matches. */
function filterOf(depth: number): fc.Arbitrary<DeviceFilter> {
  const inner: fc.Arbitrary<DeviceFilter> = depth === 0 ? fc.constant({}) : filterOf(depth - 1);
  const single = Object.entries(membersOf(inner)).map(([name, value]) =>
    (value as fc.Arbitrary<unknown>).map((member): DeviceFilter => ({ [name]: member })),
  );
  return fc
    .array(fc.oneof(...single), { minLength: 1, maxLength: 3 })
    .map((members): DeviceFilter => Object.assign({}, ...members));
}

const filter = filterOf(2);

async function matching(store: InventoryStore, asked: DeviceFilter | null, search: string | null = null) {
  const page = { first: 500, after: null };
  const order = { field: 'NAME', direction: 'ASC' } as const;
  const { rows } = await store.page(EVERYONE, { page, order, filter: asked, search });
  return rows.map(({ id }) => id).toSorted();
}

eachEngine('device filter', (open) => {
  const rows = fc.sample(device, { numRuns: 120, seed: 7 }).map(toRow);
  let db: Database;
  let store: InventoryStore;

  beforeAll(async () => {
    db = await open();
    // Of acme-vms' integration the last complete listing is recent; the others' are old or failed.
    const syncRuns = [
      syncRunRow('run_1', integrations[0]!, { started_at: minutes(40) }),
      syncRunRow('run_2', integrations[1]!, { started_at: minutes(-90) }),
      syncRunRow('run_3', integrations[1]!, { started_at: minutes(50), state: 'PARTIAL' }),
    ];
    await insertFixture(db, { orgs, sites, integrations, devices: rows, syncRuns });
    store = createInventoryStore({ db, vendors, cursors: createCursorCodec(new Uint8Array(32)), now: () => NOW });
  });

  it('selects what the model selects', async () => {
    let matched = 0;
    const world = {
      slugs: new Map(vendors.map(({ slug, enumValue }) => [enumValue, slug])),
      fresh: new Set(['int_a']),
      oldest: NOW - 2 * HOUR_MS,
    };
    // The vendor that is not deployed has an interval of 15 minutes: half an hour is old.
    const worldOf = (row: DeviceRow) =>
      row.vendor === 'gone-vendor' ? { ...world, oldest: NOW - HOUR_MS / 2 } : world;
    await fc.assert(
      fc.asyncProperty(filter, async (asked) => {
        const expected = rows.flatMap((row) => modelFilter([row], asked, worldOf(row))).toSorted();
        matched += expected.length > 0 && expected.length < rows.length ? 1 : 0;
        expect(await matching(store, asked)).toEqual(expected);
      }),
      { numRuns: 300, seed: 11 },
    );
    expect(matched).toBeGreaterThan(60);
  });

  it('hides removed devices unless the top of the filter asks for them', async () => {
    const present = rows.filter((row) => row.removed_at === null).length;
    expect(await matching(store, null)).toHaveLength(present);
    expect(await matching(store, { includeRemoved: true })).toHaveLength(rows.length);
    expect(await matching(store, { or: [{ includeRemoved: true }] })).toHaveLength(present);
  });

  it.each(['siteIds', 'types', 'vendors', 'states', 'tagsAny', 'tagsAll', 'or'])(
    'matches nothing for an empty list of %s',
    async (member) => {
      expect(await matching(store, { [member]: [] })).toEqual([]);
    },
  );

  it('finds every word of a search, and a MAC address in any notation', async () => {
    const search_text = 'door 3 m-200 sn42 10.0.0.9';
    const found = deviceRow(integrations[0]!, 'found', {
      search_text,
      mac_addresses: '["aa:bb:cc:00:11:22"]',
    });
    await insertFixture(db, { devices: [found] });
    for (const search of [
      'SN42',
      'm-200 Door',
      'aabbcc001122',
      'AA-BB-CC-00-11-22',
      'aabb.cc00.1122',
      'aa bb cc 00 11 22',
    ]) {
      expect({ search, ids: await matching(store, null, search) }).toEqual({ search, ids: [found.id] });
    }
    for (const search of ['sn42 elsewhere', 'm_200', 'aabbcc001123', '\0']) {
      expect({ search, ids: await matching(store, null, search) }).toEqual({ search, ids: [] });
    }
  });

  it('refuses what nests too deep or lists too much', async () => {
    const deep = (levels: number): DeviceFilter => (levels === 1 ? {} : { not: deep(levels - 1) });
    await expect(matching(store, deep(5))).resolves.toBeDefined();
    const refused = { extensions: { code: 'BAD_USER_INPUT' } };
    await expect(matching(store, deep(6))).rejects.toMatchObject(refused);
    await expect(matching(store, { or: Array.from({ length: 50 }, () => ({})) })).rejects.toMatchObject(refused);
    await expect(matching(store, { siteIds: Array.from({ length: 5_001 }, String) })).rejects.toMatchObject(refused);
    await expect(matching(store, { name: { eq: 'x'.repeat(501) } })).rejects.toMatchObject(refused);
  });
});

describe('device search', () => {
  it('refuses more words than it looks for', () => {
    expect(() => matchesSearch('a b c d e f g h i j k')).toThrow('10 words');
    expect(() => matchesSearch('x'.repeat(201))).toThrow('200 characters');
  });
});
