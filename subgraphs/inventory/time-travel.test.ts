import { expect, it } from 'vitest';
import { createCursorCodec } from '../../storage/cursor.ts';
import { deviceRow, insertFixture, integrationRow, orgRow, siteRow } from '../../storage/fixtures/directory-rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { noSync } from '../fixtures/no-services.ts';
import { acme } from '../fixtures/world.ts';
import { createInventorySubgraph } from './index.ts';

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 9, 31, 12);
const iso = (at: number) => new Date(at).toISOString();
const admin = principal({ orgIds: ['org_a'] });
const atFirst = principal({ orgIds: ['org_a'], siteIds: ['site_1'] });
const atSecond = principal({ orgIds: ['org_a'], siteIds: ['site_2'] });

const AS_OF = `query DeviceAsOf($id: ID!, $then: DateTime!) {
  then: device(id: $id, asOf: $then) { name firmware tags network { ip } site { id } parent { name } status { state since stale maintenance { id } } updatedAt removedAt }
  now: device(id: $id) { name firmware tags network { ip } site { id } parent { name } status { state since stale maintenance { id } } updatedAt removedAt }
}`;
const DIFF = `query ($from: DateTime!, $to: DateTime!, $first: Int, $after: String) {
  inventoryDiff(orgId: "org_a", from: $from, to: $to, first: $first, after: $after) {
    pageInfo { hasNextPage endCursor } edges { cursor } nodes { deviceId kind device { name } fields { name before after } } } }`;

eachEngine('the past of the inventory', (openDb) => {
  /** Two hours ago the door was another one, at the other site, and its panel had another name. */
  async function open() {
    const db = await openDb();
    const integration = integrationRow('int_a', 'org_a');
    const since = { first_seen_at: NOW - 48 * HOUR, updated_at: NOW - HOUR };
    const panel = deviceRow(integration, 'panel', { ...since, site_id: 'site_1', name: 'Panel 2' });
    const door = deviceRow(integration, 'door', {
      ...since,
      site_id: 'site_2',
      parent_id: panel.id,
      name: 'Back door',
      firmware: '2.0',
      ip: '10.0.0.2',
      tags: '["new"]',
      state: 'OFFLINE',
      state_since: NOW - HOUR,
      state_observed_at: NOW,
    });
    const fresh = deviceRow(integration, 'fresh', {
      site_id: 'site_2',
      first_seen_at: NOW - HOUR,
      updated_at: NOW - HOUR,
    });
    const sites = [siteRow('site_1', 'org_a'), siteRow('site_2', 'org_a')];
    await insertFixture(db, {
      orgs: [orgRow('org_a')],
      sites,
      integrations: [integration],
      devices: [panel, door, fresh],
    });
    const change = (
      device: typeof door,
      kind: string,
      at: number,
      fields: readonly (readonly [string, string | null, string | null])[],
    ) => ({
      org_id: 'org_a',
      site_id: device.site_id,
      device_id: device.id,
      kind,
      at,
      fields: JSON.stringify(fields.map(([name, before, after]) => ({ name, before, after }))),
    });
    const changes = [
      change(panel, 'UPDATED', NOW - 2 * HOUR, [['name', 'Panel 1', 'Panel 2']]),
      change(door, 'UPDATED', NOW - HOUR, [
        ['name', 'Door', 'Back door'],
        ['firmware', '1.0', '2.0'],
        ['network.ip', null, '10.0.0.2'],
        ['tags', 'old, older', 'new'],
      ]),
      change(door, 'MOVED', NOW - HOUR, [['site', 'site_1', 'site_2']]),
      change(fresh, 'ADDED', NOW - HOUR, []),
    ];
    await db.write(async (tx) => {
      const first = await db.takeSequence(tx, changes.length);
      await tx
        .insertInto('inventory_changes')
        .values(changes.map((row, at) => ({ seq: first + at, ...row })))
        .execute();
      await tx
        .insertInto('status_segments')
        .values([
          { device_id: door.id, from_at: NOW - 30 * HOUR, to_at: NOW - HOUR, state: 'ONLINE', reason: null },
          { device_id: door.id, from_at: NOW - HOUR, to_at: null, state: 'OFFLINE', reason: null },
        ])
        .execute();
      await tx
        .insertInto('maintenance_windows')
        .values({
          id: 'mw_1',
          org_id: 'org_a',
          site_id: 'site_1',
          device_id: null,
          from_at: NOW - 4 * HOUR,
          to_at: NOW - 2 * HOUR,
          reason: 'work',
          created_by: 'x',
          created_at: 0,
        })
        .execute();
    });
    return {
      door,
      panel,
      fresh,
      subgraph: createInventorySubgraph(
        { db, cursors: createCursorCodec(new Uint8Array(32)), sync: noSync, now: () => NOW },
        [acme],
      ),
    };
  }

  it('tells what a device was like when it happened, its parent as of then, and now as it is', async () => {
    const { subgraph, door } = await open();
    const { data, errors } = await ask(subgraph, admin, AS_OF, { id: door.id, then: iso(NOW - 3 * HOUR) });
    expect(errors).toEqual([]);
    expect(data.then).toEqual({
      name: 'Door',
      firmware: '1.0',
      tags: ['old', 'older'],
      network: { ip: null },
      site: { id: 'site_1' },
      parent: { name: 'Panel 1' },
      status: { state: 'ONLINE', since: iso(NOW - 30 * HOUR), stale: false, maintenance: { id: 'mw_1' } },
      updatedAt: iso(NOW - 48 * HOUR),
      removedAt: null,
    });
    expect(data.now).toMatchObject({
      name: 'Back door',
      site: { id: 'site_2' },
      parent: { name: 'Panel 2' },
      status: { state: 'OFFLINE' },
    });
    for (const then of [NOW, NOW + HOUR]) {
      const both = await ask(subgraph, admin, AS_OF, { id: door.id, then: iso(then) });
      expect(both.data.then).toEqual(both.data.now);
    }
    const before = await ask(subgraph, admin, AS_OF, { id: door.id, then: iso(NOW - 49 * HOUR) });
    expect(before).toMatchObject({ errors: [], data: { then: null, now: { name: 'Back door' } } });
  });

  it('tells it to nobody who may not see the place of then, or that of now', async () => {
    const { subgraph, door } = await open();
    const variables = { id: door.id, then: iso(NOW - 3 * HOUR) };
    expect(await ask(subgraph, atSecond, AS_OF, variables)).toMatchObject({
      errors: [],
      data: { then: null, now: { name: 'Back door' } },
    });
    expect(await ask(subgraph, atFirst, AS_OF, variables)).toMatchObject({
      errors: [],
      data: { then: null, now: null },
    });
  });

  it('compares two instants, page by page', async () => {
    const { subgraph, door, panel, fresh } = await open();
    const span = { from: iso(NOW - 3 * HOUR), to: iso(NOW) };
    const expected = [
      {
        deviceId: panel.id,
        kind: 'UPDATED',
        device: { name: 'Panel 2' },
        fields: [{ name: 'name', before: 'Panel 1', after: 'Panel 2' }],
      },
      { deviceId: door.id, kind: 'MOVED', device: { name: 'Back door' } },
      { deviceId: fresh.id, kind: 'ADDED', fields: [] },
    ].toSorted((a, b) => (a.deviceId < b.deviceId ? -1 : 1));
    const whole = await ask(subgraph, admin, DIFF, span);
    expect(whole).toMatchObject({
      errors: [],
      data: { inventoryDiff: { nodes: expected, pageInfo: { hasNextPage: false } } },
    });
    const first = await ask(subgraph, admin, DIFF, { ...span, first: 2 });
    const { hasNextPage, endCursor } = first.data.inventoryDiff.pageInfo;
    expect([hasNextPage, first.data.inventoryDiff.edges[1].cursor]).toEqual([true, endCursor]);
    const rest = await ask(subgraph, admin, DIFF, { ...span, first: 2, after: endCursor });
    expect(rest).toMatchObject({
      data: { inventoryDiff: { nodes: expected.slice(2), pageInfo: { hasNextPage: false } } },
    });
    expect(await ask(subgraph, admin, DIFF, { ...span, from: iso(NOW - 4 * HOUR), after: endCursor })).toMatchObject({
      errors: [{ code: 'BAD_CURSOR' }],
    });

    const seenAtSecond = await ask(subgraph, atSecond, DIFF, span);
    expect(
      seenAtSecond.data.inventoryDiff.nodes.map(({ kind, fields }: { kind: string; fields: unknown[] }) => [
        kind,
        fields,
      ]),
    ).toEqual([
      ['ADDED', []],
      ['ADDED', []],
    ]);
    const stranger = await ask(subgraph, principal({ orgIds: ['org_b'] }), DIFF, span);
    expect(stranger).toMatchObject({ errors: [], data: { inventoryDiff: { nodes: [] } } });
  });
});
