import { expect, it } from 'vitest';
import { createCursorCodec } from '../../storage/cursor.ts';
import {
  countStatements,
  deviceRow,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
} from '../../storage/fixtures/directory-rows.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { noSync } from '../fixtures/no-services.ts';
import { acme } from '../fixtures/world.ts';
import { createInventorySubgraph } from './index.ts';

const cursors = createCursorCodec(new Uint8Array(32));
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** 2026-10-31T12:00:00Z: the clocks of Berlin went back six days before. */
const NOW = Date.UTC(2026, 9, 31, 12);
const iso = (at: number) => new Date(at).toISOString();

const admin = principal({ orgIds: ['org_a'] });
const atSite = principal({ orgIds: ['org_a'], siteIds: ['site_1'] });
const integration = integrationRow('int_a', 'org_a');
const sites = [siteRow('site_1', 'org_a', { timezone: 'Europe/Berlin' }), siteRow('site_2', 'org_a')];

type Segment = readonly [from: number, to: number | null, state: string];

eachEngine('status and its history', (openDb) => {
  async function open(
    devices: readonly DeviceRow[],
    segments: Readonly<Record<string, readonly Segment[]>> = {},
    outages: readonly (readonly [integration: string, from: number, to: number | null])[] = [],
  ) {
    const opened = await openDb();
    await insertFixture(opened, { orgs: [orgRow('org_a')], sites, integrations: [integration], devices });
    await opened.write(async (tx) => {
      for (const [native, list] of Object.entries(segments)) {
        for (const [from_at, to_at, state] of list) {
          const device_id = device(native).id;
          await tx
            .insertInto('status_segments')
            .values({ device_id, from_at, to_at, state, reason: 'POWER' })
            .execute();
        }
      }
      for (const [integration_id, from_at, to_at] of outages) {
        await tx.insertInto('source_outages').values({ integration_id, from_at, to_at, cause: 'TEST' }).execute();
      }
    });
    const { db, take } = countStatements(opened);
    const subgraph = createInventorySubgraph({ db, cursors, sync: noSync, now: () => NOW }, [acme]);
    const plan = (id: string, from_at: number, to_at: number, target: { site_id?: string; device_id?: string } = {}) =>
      opened.write((tx) =>
        tx
          .insertInto('maintenance_windows')
          .values({
            id,
            org_id: 'org_a',
            site_id: null,
            device_id: null,
            from_at,
            to_at,
            reason: 'work',
            created_by: 'tester',
            created_at: from_at,
            ...target,
          })
          .execute(),
      );
    return { db: opened, take, subgraph, plan };
  }

  function device(native: string, over: Partial<DeviceRow> = {}): DeviceRow {
    const seen = { first_seen_at: NOW - 365 * DAY, state_since: NOW - 365 * DAY, state: 'ONLINE' };
    return deviceRow(integration, native, { site_id: 'site_1', ...seen, ...over });
  }

  const statusOf = async (subgraph: Parameters<typeof ask>[0], id: string, who = admin) => {
    const query = `query ($id: ID!) { device(id: $id) { status { state flapping pendingState pendingUntil suppressedBy { id name } maintenance { id }
      evidence { source integration { id } state reason observedAt receivedAt agrees } } } }`;
    const { data, errors } = await ask(subgraph, who, query, { id });
    expect(errors).toEqual([]);
    return data.device.status;
  };

  it('says that an unknown state is the platform’s being away for as long as it is, and nothing else about it', async () => {
    const states: readonly (readonly [string, string, string | null])[] = [
      ['unsaid', 'UNKNOWN', null],
      ['reported', 'UNKNOWN', 'REPORTED'],
      ['silent', 'UNKNOWN', 'SILENCE'],
      ['up', 'ONLINE', null],
      ['down', 'OFFLINE', 'REPORTED'],
    ];
    const all = states.map(([name, state, reason]) => device(name, { state, state_reason: reason }));
    const { db, take, subgraph } = await open(all);
    const reasons = async () => {
      const fields = all.map(({ id }, at) => `d${at}: device(id: "${id}") { status { reason } }`);
      const { data, errors } = await ask(subgraph, admin, `{ ${fields.join(' ')} }`);
      expect(errors).toEqual([]);
      return all.map((_, at) => data[`d${at}`].status.reason);
    };
    const said = [null, 'REPORTED', 'SILENCE', null, 'REPORTED'];
    expect(await reasons()).toEqual(said);
    take();
    await db.write((tx) => tx.updateTable('integrations').set({ error_code: 'UNREACHABLE' }).execute());
    expect(await reasons()).toEqual(['PLATFORM_DOWN', 'PLATFORM_DOWN', 'SILENCE', null, 'REPORTED']);
    // All devices in one statement, and one more for all of their platforms.
    expect(take()).toBe(2);
    await db.write((tx) => tx.updateTable('integrations').set({ error_code: null }).execute());
    expect(await reasons()).toEqual(said);
  });

  it('says when a device counts as silent, and what was learned of its type', async () => {
    const detector = device('pir', { type: 'DETECTOR', silence_due_at: NOW + DAY });
    const camera = device('camera');
    const { db, subgraph } = await open([detector, camera]);
    const learned = { integration_id: 'int_a', histogram: '[]', updated_at: NOW - HOUR };
    await db.write((tx) =>
      tx
        .insertInto('rhythms')
        .values([
          { ...learned, type: 'DETECTOR', samples: 900, limit_ms: 3 * DAY },
          { ...learned, type: 'BRIDGE', samples: 12, limit_ms: null },
        ])
        .execute(),
    );
    const query = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Device { status { silentAt } }
      ... on Integration { rhythms { deviceType samples expectedSilence updatedAt } } } }`;
    const entities = async (who: typeof admin) => {
      const representations = [
        { __typename: 'Device', id: detector.id },
        { __typename: 'Device', id: camera.id },
        { __typename: 'Integration', id: 'int_a' },
      ];
      const { data, errors } = await ask(subgraph, who, query, { r: representations });
      expect(errors).toEqual([]);
      return data._entities;
    };
    const updatedAt = iso(NOW - HOUR);
    expect(await entities(admin)).toEqual([
      { status: { silentAt: iso(NOW + DAY) } },
      { status: { silentAt: null } },
      {
        rhythms: [
          { deviceType: 'BRIDGE', samples: 12, expectedSilence: null, updatedAt },
          { deviceType: 'DETECTOR', samples: 900, expectedSilence: 'P3D', updatedAt },
        ],
      },
    ]);
    const stranger = principal({ orgIds: ['org_b'] });
    expect((await entities(stranger))[2]).toEqual({ rhythms: null });
    const bindings = ['site_1', 'site_2'].map((site_id) => ({
      id: `bind_${site_id}`,
      org_id: 'org_a',
      integration_id: 'int_a',
      vendor_org_id: '',
      vendor_site_id: site_id,
      vendor_site_name: null,
      site_id,
      created_at: NOW,
    }));
    await db.write((tx) => tx.insertInto('site_bindings').values(bindings).execute());
    expect((await entities(atSite))[2]).toEqual({ rhythms: null });
  });

  it('says what is pending, what flaps, what explains it, and who said so', async () => {
    const recorder = device('recorder', { site_id: 'site_2', state: 'OFFLINE' });
    const evidence = [
      {
        source: 'WEBHOOK',
        integrationId: 'int_a',
        state: 'OFFLINE',
        reason: 'NETWORK',
        observedAt: NOW - 2,
        receivedAt: NOW - 1,
      },
      {
        source: 'POLL',
        integrationId: 'int_a',
        state: 'ONLINE',
        reason: null,
        observedAt: NOW - 4,
        receivedAt: NOW - 3,
      },
      {
        source: 'A_LATER_WORD',
        integrationId: null,
        state: 'SLEEPING',
        reason: 'TIRED',
        observedAt: NOW - 6,
        receivedAt: NOW - 5,
      },
    ];
    const camera = device('camera', {
      state: 'OFFLINE',
      flapping: 1,
      pending_state: 'OFFLINE',
      pending_until: NOW + 5_000,
      suppressed_by: recorder.id,
      maintenance_id: 'mw_1',
      evidence: JSON.stringify([...evidence, { source: 'POLL', shape: 'of another release' }]),
    });
    const plain = device('plain');
    const { subgraph } = await open([recorder, camera, plain]);
    expect(await statusOf(subgraph, camera.id)).toEqual({
      state: 'OFFLINE',
      flapping: true,
      pendingState: 'OFFLINE',
      pendingUntil: iso(NOW + 5_000),
      suppressedBy: { id: recorder.id, name: recorder.name },
      maintenance: { id: 'mw_1' },
      evidence: [
        {
          source: 'WEBHOOK',
          integration: { id: 'int_a' },
          state: 'OFFLINE',
          reason: 'NETWORK',
          observedAt: iso(NOW - 2),
          receivedAt: iso(NOW - 1),
          agrees: true,
        },
        {
          source: 'POLL',
          integration: { id: 'int_a' },
          state: 'ONLINE',
          reason: null,
          observedAt: iso(NOW - 4),
          receivedAt: iso(NOW - 3),
          agrees: false,
        },
        {
          source: 'WEBHOOK',
          integration: null,
          state: 'UNKNOWN',
          reason: null,
          observedAt: iso(NOW - 6),
          receivedAt: iso(NOW - 5),
          agrees: false,
        },
      ],
    });
    // The recorder is at a site that this principal does not see.
    expect(await statusOf(subgraph, camera.id, atSite)).toMatchObject({ suppressedBy: null, state: 'OFFLINE' });
    expect(await statusOf(subgraph, plain.id)).toEqual({
      state: 'ONLINE',
      flapping: false,
      pendingState: null,
      pendingUntil: null,
      suppressedBy: null,
      maintenance: null,
      evidence: [],
    });
  });

  it('finds what flaps and what is in planned work', async () => {
    const devices = [device('a', { flapping: 1 }), device('b', { maintenance_id: 'mw_1' }), device('c')];
    const { subgraph } = await open(devices);
    const query = `{ flapping: devices(filter: { flapping: true }) { nodes { name } } planned: devices(filter: { inMaintenance: true }) { nodes { name } }
      calm: devices(filter: { flapping: false, inMaintenance: false }) { nodes { name } }
      org: _entities(representations: [{ __typename: "Org", id: "org_a" }]) { ... on Org { health { total online flapping inMaintenance suppressed asOf } } } }`;
    const { data } = await ask(subgraph, admin, query);
    const names = ({ nodes }: { nodes: readonly { name: string }[] }) => nodes.map(({ name }) => name);
    expect(names(data.flapping)).toEqual([devices[0]?.name]);
    expect(names(data.planned)).toEqual([devices[1]?.name]);
    expect(names(data.calm)).toEqual([devices[2]?.name]);
    expect(data.org[0].health).toEqual({
      total: 3,
      online: 3,
      flapping: 1,
      inMaintenance: 1,
      suppressed: 0,
      asOf: iso(NOW),
    });
  });

  it('tells its history, newest first and page by page, with the planned work in it', async () => {
    const segments: readonly Segment[] = [
      [NOW - 10 * DAY, NOW - 3 * DAY, 'ONLINE'],
      [NOW - 3 * DAY, NOW - 2 * DAY, 'OFFLINE'],
      [NOW - 2 * DAY, NOW - DAY, 'DEGRADED'],
      [NOW - DAY, null, 'ONLINE'],
    ];
    const { subgraph, plan } = await open([device('a'), device('b')], {
      a: segments,
      b: [[NOW - 20 * DAY, null, 'OFFLINE']],
    });
    await plan('mw_1', NOW - 2.5 * DAY, NOW - 2 * DAY, { site_id: 'site_1' });
    await plan('mw_2', NOW - 2 * DAY, NOW, { device_id: device('b').id });
    const query = `query ($id: ID!, $first: Int, $after: String) { device(id: $id) { statusHistory(window: { last: "P5D" }, first: $first, after: $after) {
      totalCount nodes { state from to maintenance reason } pageInfo { hasNextPage hasPreviousPage endCursor } } } }`;
    const { id } = device('a');
    const first = (await ask(subgraph, admin, query, { id, first: 3 })).data.device.statusHistory;
    expect(first).toMatchObject({
      totalCount: 4,
      nodes: [
        { state: 'ONLINE', from: iso(NOW - DAY), to: null, maintenance: false, reason: 'POWER' },
        { state: 'DEGRADED', from: iso(NOW - 2 * DAY), to: iso(NOW - DAY), maintenance: false },
        { state: 'OFFLINE', from: iso(NOW - 3 * DAY), to: iso(NOW - 2 * DAY), maintenance: true },
      ],
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
    });
    const after = first.pageInfo.endCursor;
    const second = (await ask(subgraph, admin, query, { id, first: 3, after })).data.device.statusHistory;
    expect(second).toMatchObject({
      nodes: [{ state: 'ONLINE', from: iso(NOW - 10 * DAY), to: iso(NOW - 3 * DAY) }],
      pageInfo: { hasNextPage: false, hasPreviousPage: true },
    });
    const other = await ask(subgraph, admin, query, { id: device('b').id, first: 3, after });
    expect(other.errors[0]?.code).toBe('BAD_CURSOR');
  });

  it('is all that is known where no history was kept', async () => {
    const { subgraph } = await open([
      device('a', { state: 'OFFLINE', state_since: NOW - DAY, first_seen_at: NOW - 9 * DAY }),
    ]);
    const query = `query ($id: ID!) { device(id: $id) {
      statusHistory(window: { last: "P5D" }) { totalCount nodes { state from to } }
      before: statusHistory(window: { from: "2026-10-01T00:00:00Z", to: "2026-10-02T00:00:00Z" }) { totalCount nodes { state } }
      availability(window: { last: "P5D" }) { downtimeSeconds unknownSeconds calculation } } }`;
    expect((await ask(subgraph, admin, query, { id: device('a').id })).data.device).toEqual({
      statusHistory: { totalCount: 1, nodes: [{ state: 'OFFLINE', from: iso(NOW - DAY), to: null }] },
      before: { totalCount: 0, nodes: [] },
      availability: { downtimeSeconds: 86_400, unknownSeconds: 4 * 86_400, calculation: 'PARTIAL_NO_HISTORY' },
    });
  });

  const AVAILABILITY = `percent uptimeSeconds downtimeSeconds unknownSeconds maintenanceSeconds incidents mtbfSeconds mttrSeconds coveragePercent calculation`;

  it('is judged by what is provable: planned work and what nobody could hear are left out', async () => {
    const segments: readonly Segment[] = [
      [NOW - 30 * DAY, NOW - 4 * HOUR, 'ONLINE'],
      [NOW - 4 * HOUR, NOW - 2 * HOUR, 'OFFLINE'],
      [NOW - 2 * HOUR, null, 'DEGRADED'],
    ];
    const outages = [
      ['int_a', NOW - 10 * HOUR, NOW - 9 * HOUR],
      ['', NOW - HOUR / 2, null],
      ['int_other', NOW - 8 * HOUR, NOW],
    ] as const;
    const { subgraph, plan } = await open([device('a')], { a: segments }, outages);
    await plan('mw_1', NOW - 3 * HOUR, NOW - HOUR);
    await plan('mw_2', NOW - 20 * HOUR, NOW - HOUR, { site_id: 'site_2' });
    const query = `query ($id: ID!) { device(id: $id) { availability(window: { last: "PT10H" }) { ${AVAILABILITY} buckets(size: "PT1H") { from to percent worstState } } } }`;
    const { availability } = (await ask(subgraph, admin, query, { id: device('a').id })).data.device;
    expect(availability).toMatchObject({
      uptimeSeconds: 5.5 * 3_600,
      downtimeSeconds: 3_600,
      unknownSeconds: 1.5 * 3_600,
      maintenanceSeconds: 2 * 3_600,
      incidents: 1,
      mtbfSeconds: 5.5 * 3_600,
      mttrSeconds: 3_600,
      coveragePercent: 85,
      calculation: 'PARTIAL_SOURCE_OUTAGE',
    });
    expect(availability.percent).toBeCloseTo((100 * 5.5) / 6.5, 10);
    expect(availability.buckets).toHaveLength(10);
    expect(availability.buckets.map(({ percent }: { percent: number | null }) => percent)).toEqual([
      null,
      100,
      100,
      100,
      100,
      100,
      0,
      null,
      null,
      100,
    ]);
    expect(availability.buckets[9]).toEqual({
      from: iso(NOW - HOUR),
      to: iso(NOW),
      percent: 100,
      worstState: 'DEGRADED',
    });
  });

  it('proves nothing of the time in which the device was gone from its platform', async () => {
    const segments: readonly Segment[] = [[NOW - 30 * DAY, null, 'ONLINE']];
    const { subgraph, db } = await open([device('a'), device('b')], { a: segments, b: segments }, []);
    const change = { org_id: 'org_a', site_id: 'site_1', fields: '[]' };
    await db.write((tx) =>
      tx
        .insertInto('inventory_changes')
        .values([
          { ...change, seq: 9_001, device_id: device('a').id, kind: 'REMOVED', at: NOW - 6 * DAY },
          { ...change, seq: 9_002, device_id: device('a').id, kind: 'RESTORED', at: NOW - 4 * DAY },
          { ...change, seq: 9_003, device_id: device('b').id, kind: 'UPDATED', at: NOW - 5 * DAY },
        ])
        .execute(),
    );
    const query = `query ($id: ID!) { device(id: $id) { availability(window: { last: "P10D" }) { ${AVAILABILITY} } } }`;
    const ofDevice = async (id: string) => (await ask(subgraph, admin, query, { id })).data.device.availability;
    expect(await ofDevice(device('a').id)).toMatchObject({
      percent: 100,
      uptimeSeconds: 8 * 86_400,
      unknownSeconds: 2 * 86_400,
      coveragePercent: 80,
    });
    expect(await ofDevice(device('b').id)).toMatchObject({ uptimeSeconds: 10 * 86_400, unknownSeconds: 0 });
  });

  it('of a site is the mean of its devices, in days of its zone', async () => {
    const devices = [
      device('a'),
      device('b'),
      device('gone', { removed_at: NOW }),
      device('far', { site_id: 'site_2' }),
    ];
    const online: readonly Segment[] = [[NOW - 60 * DAY, null, 'ONLINE']];
    const b: readonly Segment[] = [
      [NOW - 60 * DAY, NOW - DAY, 'ONLINE'],
      [NOW - DAY, null, 'OFFLINE'],
    ];
    const { subgraph } = await open(devices, { a: online, b, far: [[NOW - 60 * DAY, null, 'OFFLINE']] });
    const query = `query ($id: ID!) { _entities(representations: [{ __typename: "Site", id: $id }]) { ... on Site {
      availability(window: { last: "P10D" }) { ${AVAILABILITY} buckets(size: "P1D") { from to percent worstState } } } } }`;
    const site = async (who: typeof admin, id = 'site_1') =>
      (await ask(subgraph, who, query, { id })).data._entities[0].availability;
    const answer = await site(admin);
    expect(answer).toMatchObject({
      percent: 95,
      uptimeSeconds: 9.5 * 86_400,
      downtimeSeconds: 86_400 / 2,
      unknownSeconds: 0,
      incidents: 1,
      calculation: 'COMPLETE',
    });
    const hours = answer.buckets.map(
      ({ from, to }: { from: string; to: string }) => (Date.parse(to) - Date.parse(from)) / HOUR,
    );
    expect(hours).toEqual([10, 24, 24, 24, 25, 24, 24, 24, 24, 24, 13]);
    expect(answer.buckets.at(-1)).toMatchObject({ percent: 50, worstState: 'OFFLINE' });
    expect(answer.buckets[4]).toMatchObject({ from: '2026-10-24T22:00:00.000Z', percent: 100, worstState: 'ONLINE' });
    expect(await site(atSite)).toEqual(answer);
    expect(await site(atSite, 'site_2')).toBeNull();
    expect(await site(principal({ orgIds: ['org_b'] }))).toBeNull();
  });

  it('of an org is the mean of the devices that the principal sees', async () => {
    const devices = [device('a'), device('far', { site_id: 'site_2' }), device('unbound', { site_id: null })];
    const down: readonly Segment[] = [[NOW - 60 * DAY, null, 'OFFLINE']];
    const { subgraph } = await open(devices, { a: [[NOW - 60 * DAY, null, 'ONLINE']], far: down, unbound: down });
    const query = `{ _entities(representations: [{ __typename: "Org", id: "org_a" }]) { ... on Org {
      availability(window: { last: "P2D" }) { uptimeSeconds downtimeSeconds incidents buckets(size: "P1D") { from } } } } }`;
    const org = async (who: typeof admin) => (await ask(subgraph, who, query)).data._entities[0].availability;
    expect(await org(admin)).toMatchObject({ uptimeSeconds: 57_600, downtimeSeconds: 115_200, incidents: 2 });
    expect((await org(admin)).buckets[1]).toEqual({ from: '2026-10-30T00:00:00.000Z' });
    expect(await org(atSite)).toMatchObject({ uptimeSeconds: 172_800, downtimeSeconds: 0 });
    expect(await org(principal({ orgIds: ['org_b'] }))).toBeNull();
  });

  it('of a whole page costs a few statements, however many devices and buckets', async () => {
    const natives = Array.from({ length: 120 }, (_, index) => `n${index}`);
    const segments = Object.fromEntries(
      natives.slice(1).map((native) => [
        native,
        [
          [NOW - 60 * DAY, NOW - DAY, 'ONLINE'],
          [NOW - DAY, null, 'OFFLINE'],
        ] as const,
      ]),
    );
    const { subgraph, take, plan } = await open(
      natives.map((native) => device(native)),
      segments,
    );
    await plan('mw_1', NOW - 3 * HOUR, NOW - HOUR);
    const query = `{ _entities(representations: [{ __typename: "Site", id: "site_1" }]) { ... on Site { devices(first: 200) { nodes {
      availability(window: { last: "P30D" }) { percent incidents buckets(size: "PT6H") { percent worstState } }
      statusHistory(window: { last: "P30D" }, first: 5) { nodes { state maintenance } } } } } } }`;
    take();
    const { data, errors } = await ask(subgraph, admin, query);
    // The page and its stamp; then segments, windows, outages, who has none, zones; and pages of history, who has none, windows.
    expect(take()).toBeLessThanOrEqual(11);
    expect(errors).toEqual([]);
    const { nodes } = data._entities[0].devices;
    expect(nodes).toHaveLength(120);
    expect(
      new Set(nodes.map((node: { availability: { buckets: unknown[] } }) => node.availability.buckets.length)),
    ).toEqual(new Set([121]));
  });

  it('refuses windows and sizes that cannot be', async () => {
    const { subgraph } = await open([device('a')]);
    const code = async (field: string) =>
      (await ask(subgraph, admin, `{ device(id: "${device('a').id}") { ${field} } }`)).errors[0]?.code;
    expect(await code('availability(window: {}) { percent }')).toBe('BAD_USER_INPUT');
    expect(await code('availability(window: { last: "P401D" }) { percent }')).toBe('BAD_USER_INPUT');
    expect(await code('availability(window: { last: "P10D" }) { buckets(size: "PT7H") { percent } }')).toBe(
      'BAD_USER_INPUT',
    );
    expect(await code('availability(window: { last: "P10D" }) { buckets(size: "PT1M") { percent } }')).toBe(
      'BAD_USER_INPUT',
    );
    expect(await code('statusHistory(window: { last: "P1D" }, first: 501) { totalCount }')).toBe('PAGE_TOO_LARGE');
  });
});
