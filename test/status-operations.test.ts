import { readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { createFederationEngine } from '../gateway/federation/engine.ts';
import { createLocalTransport } from '../gateway/federation/transport-local.ts';
import { createCursorCodec } from '../storage/cursor.ts';
import {
  countStatements,
  deviceRow,
  insertFixture,
  integrationRow,
  orgRow,
  siteRow,
} from '../storage/fixtures/directory-rows.ts';
import type { DeviceRow } from '../storage/rows.ts';
import { eachEngine } from '../storage/testing.ts';
import { compose } from '../subgraphs/compose.ts';
import { createDirectorySubgraph } from '../subgraphs/directory/index.ts';
import { principal } from '../subgraphs/fixtures/ask.ts';
import { noIntegrations, noSync } from '../subgraphs/fixtures/no-services.ts';
import { createInventorySubgraph } from '../subgraphs/inventory/index.ts';

// The operations that dashboards ask about health and availability, through the whole graph: what they answer, and that
// what they cost does not grow with what they are about.

const cursors = createCursorCodec(new Uint8Array(32));
const DAY = 86_400_000;
/** Six days after Berlin's clocks went back. */
const NOW = Date.UTC(2026, 9, 31, 12);

const operation = (name: string): string =>
  readFileSync(new URL(`../gateway/playground/operations/${name}.graphql`, import.meta.url), 'utf8');

eachEngine('health and availability for dashboards', (openDb) => {
  /** @param sites each with a recorder that is offline in the first half of them, and its cameras */
  async function open(sites: number, cameras: number) {
    const opened = await openDb();
    const integration = integrationRow('int_a', 'org_a');
    const seen = { first_seen_at: NOW - 365 * DAY, state_since: NOW - DAY };
    const rows: DeviceRow[] = [];
    const siteRows = Array.from({ length: sites }, (_, index) =>
      siteRow(`site_${index}`, 'org_a', { timezone: 'Europe/Berlin', name: `Site ${String(index).padStart(3, '0')}` }),
    );
    for (const [index, site] of siteRows.entries()) {
      const state = index < sites / 2 ? 'OFFLINE' : 'ONLINE';
      const at = { ...seen, site_id: site.id, state };
      const recorder = deviceRow(integration, `${site.id} recorder`, { ...at, type: 'RECORDER' });
      const suppressed_by = state === 'OFFLINE' ? recorder.id : null;
      const own = Array.from({ length: cameras + (index === 1 ? 1 : 0) }, (_, camera) =>
        deviceRow(integration, `${site.id} camera ${camera}`, {
          ...at,
          type: 'CAMERA',
          parent_id: recorder.id,
          suppressed_by,
          state_since: NOW - DAY + 1 + camera,
        }),
      );
      rows.push(recorder, ...own);
    }
    await insertFixture(opened, {
      orgs: [orgRow('org_a')],
      sites: siteRows,
      integrations: [integration],
      devices: rows,
    });
    await opened.write(async (tx) => {
      for (const { id, state } of rows) {
        const segment = { device_id: id, reason: null };
        await tx
          .insertInto('status_segments')
          .values([
            { ...segment, from_at: NOW - 60 * DAY, to_at: NOW - DAY, state: 'ONLINE' },
            { ...segment, from_at: NOW - DAY, to_at: null, state },
          ])
          .execute();
      }
      await tx
        .insertInto('source_outages')
        .values({ integration_id: '', from_at: NOW - 12 * DAY, to_at: NOW - 11 * DAY, cause: 'TEST' })
        .execute();
    });
    const { db, take } = countStatements(opened);
    const now = () => NOW;
    const subgraphs = [
      createDirectorySubgraph(
        { db, cursors, integrations: noIntegrations, publicUrl: new URL('https://x.example'), now },
        [],
      ),
      createInventorySubgraph({ db, cursors, sync: noSync, now }, []),
    ];
    const fetches: string[] = [];
    const engine = createFederationEngine({
      supergraphSdl: compose([]),
      transports: new Map(subgraphs.map((subgraph) => [subgraph.name, createLocalTransport(subgraph, () => {})])),
      onFetch: ({ service }) => fetches.push(service),
    });
    onTestFinished(() => engine.close());
    const ask = async (name: string, variables: Record<string, unknown>) => {
      take();
      fetches.length = 0;
      const { text } = await engine.execute({
        document: operation(name),
        variables,
        principal: principal({ orgIds: ['org_a'] }),
        requestId: 'test',
        signal: new AbortController().signal,
      });
      const { data, errors } = JSON.parse(text);
      expect(errors).toBeUndefined();
      return { data, statements: take(), fetches: fetches.toSorted() };
    };
    return { ask };
  }

  it('shows the wall of sites worst first, with org health as the sum and what explains each outage', async () => {
    const { ask } = await open(4, 3);
    const { data, fetches } = await ask('06-site-wall', { org: 'org_a' });
    // The org and its sites are one batch.
    expect(fetches).toEqual(['directory', 'inventory']);
    const { health, sites } = data.org;
    expect(sites.nodes.map(({ name }: { name: string }) => name)).toEqual([
      'Site 001',
      'Site 000',
      'Site 002',
      'Site 003',
    ]);
    expect(sites.totalCount).toBe(4);
    expect(health).toEqual({
      total: 17,
      online: 8,
      offline: 9,
      degraded: 0,
      unknown: 0,
      flapping: 0,
      inMaintenance: 0,
      suppressed: 7,
      worst: 'OFFLINE',
      asOf: new Date(NOW).toISOString(),
    });
    const sum = (key: 'total' | 'offline') =>
      sites.nodes.reduce(
        (total: number, site: { health: Record<string, number> }) => total + (site.health[key] ?? 0),
        0,
      );
    expect([sum('total'), sum('offline')]).toEqual([health.total, health.offline]);
    const [recorder, ...children] = sites.nodes[1].devices.nodes;
    expect(recorder).toMatchObject({ type: 'RECORDER', status: { state: 'OFFLINE', suppressedBy: null } });
    expect(children).toHaveLength(3);
    for (const child of children) {
      expect(child.status.suppressedBy).toEqual({ id: recorder.id, name: recorder.name });
    }
    expect(sites.nodes[2].devices.nodes).toEqual([]);
  });

  it('shows it with as many statements for many sites as for few', async () => {
    const few = await (await open(2, 2)).ask('06-site-wall', { org: 'org_a' });
    const many = await (await open(40, 6)).ask('06-site-wall', { org: 'org_a' });
    expect(many.data.org.sites.nodes).toHaveLength(40);
    expect(many.fetches).toEqual(few.fetches);
    expect(many.statements).toBe(few.statements);
  });

  it('reports uptime whose seconds add up, with the outage of the collector as unknown', async () => {
    const { ask } = await open(2, 4);
    const { data, fetches } = await ask('08-uptime-report', { site: 'site_0' });
    expect(fetches).toEqual(['directory', 'inventory']);
    const { availability, devices } = data.site;
    expect(availability).toMatchObject({
      uptimeSeconds: 28 * 86_400,
      downtimeSeconds: 86_400,
      unknownSeconds: 86_400,
      maintenanceSeconds: 0,
      incidents: 5,
      calculation: 'PARTIAL_SOURCE_OUTAGE',
    });
    expect(availability.percent).toBeCloseTo((100 * 28) / 29, 10);
    const hours = availability.buckets.map(
      ({ from, to }: { from: string; to: string }) => (Date.parse(to) - Date.parse(from)) / 3_600_000,
    );
    expect(hours).toHaveLength(31);
    expect(hours.filter((each: number) => each === 25)).toHaveLength(1);
    expect(hours.reduce((total: number, each: number) => total + each, 0)).toBe(720);
    expect(devices.nodes).toHaveLength(4);
    for (const { availability: own } of devices.nodes) {
      expect(own).toMatchObject({ incidents: 1, calculation: 'PARTIAL_SOURCE_OUTAGE' });
      expect(own.buckets.at(-1)).toMatchObject({ percent: 0, worstState: 'OFFLINE' });
      expect(own.buckets.length).toBeGreaterThanOrEqual(120);
    }
  });

  it('reports it with as many statements for many cameras as for few', async () => {
    const few = await (await open(1, 2)).ask('08-uptime-report', { site: 'site_0' });
    const many = await (await open(1, 200)).ask('08-uptime-report', { site: 'site_0' });
    expect(many.data.site.devices.nodes).toHaveLength(200);
    expect(many.statements).toBe(few.statements);
    expect(many.fetches).toEqual(few.fetches);
  });
});
