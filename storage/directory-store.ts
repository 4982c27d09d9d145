import type { AccessScope } from '../schema/principal.ts';
import type { DeviceState } from '../schema/words.ts';
import { visibleAtSite, visibleInOrg, visibleIntegration, visibleOrg } from './access-conditions.ts';
import { emptyPage, fetchFirstPages, fetchPage, type Ordering, type Page, type PageArgs } from './connection.ts';
import type { CursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import { createIntegrationVitals, type IntegrationVitals } from './directory-store-vitals.ts';
import { createDirectoryWriter, type DirectoryWriter } from './directory-store-write.ts';
import { readVisiblePolicies, type StatusPolicyRow } from './status-policies.ts';
import { createMaintenanceReader, type MaintenanceReader } from './maintenance-windows.ts';
import type { ExternalIdRow, IntegrationRow, OrgRow, SecretRow, SiteBindingRow, SiteRow, ZoneRow } from './rows.ts';
import { hasDeviceIn, readSitesByOffline } from './site-pages.ts';
import {
  ALWAYS,
  all,
  type Condition,
  isGiven,
  isOneOf,
  matchesText,
  NEVER,
  type TextFilter,
} from './sql-conditions.ts';

export interface DirectoryStoreOptions {
  readonly db: Database;
  readonly cursors: CursorCodec;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Orgs that are created are of a sandbox; default false. */
  readonly isSandbox?: boolean;
}

/** Members are combined with AND; null is absent. */
export interface SiteFilter {
  readonly name: TextFilter | null;
  /** At least one device is in one of these. */
  readonly states: readonly DeviceState[] | null;
}

export interface SiteListArgs extends SiteFilter {
  readonly page: PageArgs;
  readonly field: 'NAME' | 'OFFLINE_COUNT';
  readonly direction: 'ASC' | 'DESC';
}

type Pages<Row> = ReadonlyMap<string, Page<Row>>;
type Counts = ReadonlyMap<string, number>;

/** A webhook secret without what is sealed in it. */
export type SecretNote = Omit<SecretRow, 'sealed'>;

/**
 * Reads of the directory. Every call takes the principal's scope and answers as if nothing existed outside of it; rows
 * come in any order where ids were given, and ids that are unknown or out of scope are left out.
 */
export interface DirectoryStore extends IntegrationVitals, DirectoryWriter, MaintenanceReader {
  /** How status is judged in these orgs, the whole org first. */
  statusPolicies(access: AccessScope, orgIds: readonly string[]): Promise<readonly StatusPolicyRow[]>;
  orgs(access: AccessScope, ids: readonly string[]): Promise<readonly OrgRow[]>;
  sites(access: AccessScope, ids: readonly string[]): Promise<readonly SiteRow[]>;
  zones(access: AccessScope, ids: readonly string[]): Promise<readonly ZoneRow[]>;
  integrations(access: AccessScope, ids: readonly string[]): Promise<readonly IntegrationRow[]>;

  /** By name. */
  orgPage(access: AccessScope, page: PageArgs): Promise<Page<OrgRow>>;
  orgCount(access: AccessScope): Promise<number>;
  sitePages(access: AccessScope, orgIds: readonly string[], args: SiteListArgs): Promise<Pages<SiteRow>>;
  siteCounts(access: AccessScope, orgIds: readonly string[], filter: SiteFilter): Promise<Counts>;
  /** By name. */
  integrationPages(access: AccessScope, orgIds: readonly string[], page: PageArgs): Promise<Pages<IntegrationRow>>;
  integrationCounts(access: AccessScope, orgIds: readonly string[]): Promise<Counts>;

  /** By name; at most MAX_ZONES of each site. */
  zonesOfSites(access: AccessScope, siteIds: readonly string[]): Promise<readonly ZoneRow[]>;
  /** Oldest first; at most MAX_BINDINGS of each integration. */
  bindingsOfIntegrations(access: AccessScope, integrationIds: readonly string[]): Promise<readonly SiteBindingRow[]>;
  /** Pairs of site and integration, each once. */
  integrationsOfSites(
    access: AccessScope,
    siteIds: readonly string[],
  ): Promise<readonly { readonly siteId: string; readonly integrationId: string }[]>;
  /** Of orgs or sites that the principal was shown. */
  externalIds(
    access: AccessScope,
    kind: 'org' | 'site',
    ownerIds: readonly string[],
  ): Promise<readonly ExternalIdRow[]>;
  /** Secrets that verify today, newest first. */
  webhookSecrets(access: AccessScope, integrationIds: readonly string[]): Promise<readonly SecretNote[]>;
}

/** A building has some hundred; more would be a platform's mistake. */
export const MAX_ZONES = 1_000;
/** A vendor account with more sites than this is read through vendorSites, page by page. */
export const MAX_BINDINGS = 5_000;

const ORGS_BY_NAME: Ordering<OrgRow> = {
  kind: 'orgs',
  table: 'orgs',
  column: 'name',
  direction: 'asc',
  isNullable: false,
  key: (row) => row.name,
};

const INTEGRATIONS_BY_NAME: Ordering<IntegrationRow> = {
  kind: 'integrations',
  table: 'integrations',
  column: 'name',
  direction: 'asc',
  isNullable: false,
  key: (row) => row.name,
};

function sitesByName(direction: 'ASC' | 'DESC'): Ordering<SiteRow> {
  return {
    kind: `sites ${direction}`,
    table: 'sites',
    column: 'name',
    direction: direction === 'ASC' ? 'asc' : 'desc',
    isNullable: false,
    key: (row) => row.name,
  };
}

export function createDirectoryStore({ db, cursors, now, isSandbox = false }: DirectoryStoreOptions): DirectoryStore {
  const { read, engine } = db;
  const ofOrg = { column: 'org_id', of: (row: { readonly org_id: string }) => row.org_id };

  function matchesSite(access: AccessScope, orgIds: readonly string[], { name, states }: SiteFilter): Condition {
    return all([
      visibleAtSite(access, 'sites', 'id'),
      isOneOf('sites.org_id', orgIds),
      isGiven(name) ? matchesText(engine, 'sites.name', name) : ALWAYS,
      isGiven(states) ? hasDeviceIn(states) : ALWAYS,
    ]);
  }

  function sitesOf(access: AccessScope, orgIds: readonly string[], filter: SiteFilter) {
    return read.selectFrom('sites').where(matchesSite(access, orgIds, filter));
  }

  function integrationsOf(access: AccessScope, orgIds: readonly string[]) {
    return read
      .selectFrom('integrations')
      .where(visibleIntegration(access))
      .where(isOneOf('integrations.org_id', orgIds));
  }

  /** One statement for all first pages; later pages are asked for one by one, so each is its own. */
  async function pagesOf<Row>(
    ids: readonly string[],
    page: PageArgs,
    one: (id: string) => Promise<Page<Row>>,
    first: () => Promise<Pages<Row>>,
  ): Promise<Pages<Row>> {
    if (page.after !== null || ids.length === 1) {
      return new Map(await Promise.all(ids.map(async (id) => [id, await one(id)] as const)));
    }
    const found = await first();
    return new Map(ids.map((id) => [id, found.get(id) ?? emptyPage<Row>(page)]));
  }

  return {
    ...createIntegrationVitals(db, now),
    ...createDirectoryWriter(db, now, isSandbox),
    ...createMaintenanceReader(db),
    statusPolicies: (access, orgIds) => readVisiblePolicies(db, access, { orgIds }),

    orgs: (access, ids) =>
      read.selectFrom('orgs').selectAll().where(visibleOrg(access)).where(isOneOf('orgs.id', ids)).execute(),

    sites: (access, ids) =>
      read
        .selectFrom('sites')
        .selectAll()
        .where(visibleAtSite(access, 'sites', 'id'))
        .where(isOneOf('sites.id', ids))
        .execute(),

    zones: (access, ids) =>
      read
        .selectFrom('zones')
        .selectAll()
        .where(visibleAtSite(access, 'zones'))
        .where(isOneOf('zones.id', ids))
        .execute(),

    integrations: (access, ids) =>
      read
        .selectFrom('integrations')
        .selectAll()
        .where(visibleIntegration(access))
        .where(isOneOf('integrations.id', ids))
        .execute(),

    orgPage: (access, page) =>
      fetchPage(read.selectFrom('orgs').selectAll('orgs').where(visibleOrg(access)), ORGS_BY_NAME, page, cursors),

    async orgCount(access) {
      const row = await read
        .selectFrom('orgs')
        .select((eb) => eb.fn.countAll<number>().as('total'))
        .where(visibleOrg(access))
        .executeTakeFirst();
      return row?.total ?? 0;
    },

    async sitePages(access, orgIds, { page, field, direction, ...filter }) {
      if (field === 'OFFLINE_COUNT') {
        const found = await readSitesByOffline(
          db,
          cursors,
          matchesSite(access, orgIds, filter),
          orgIds,
          direction,
          page,
        );
        return new Map(orgIds.map((id) => [id, found.get(id) ?? emptyPage<SiteRow>(page)]));
      }
      const rows = (ids: readonly string[]) => sitesOf(access, ids, filter).selectAll('sites');
      const order = sitesByName(direction);
      return pagesOf(
        orgIds,
        page,
        (id) => fetchPage(rows([id]), order, page, cursors),
        () => fetchFirstPages(read, sitesOf(access, orgIds, filter), order, ofOrg, page.first, cursors),
      );
    },

    async siteCounts(access, orgIds, filter) {
      const rows = await sitesOf(access, orgIds, filter)
        .select(['org_id', (eb) => eb.fn.countAll<number>().as('total')])
        .groupBy('org_id')
        .execute();
      return new Map(rows.map((row) => [row.org_id, row.total]));
    },

    integrationPages(access, orgIds, page) {
      const rows = (ids: readonly string[]) => integrationsOf(access, ids).selectAll('integrations');
      return pagesOf(
        orgIds,
        page,
        (id) => fetchPage(rows([id]), INTEGRATIONS_BY_NAME, page, cursors),
        () => fetchFirstPages(read, integrationsOf(access, orgIds), INTEGRATIONS_BY_NAME, ofOrg, page.first, cursors),
      );
    },

    async integrationCounts(access, orgIds) {
      const rows = await integrationsOf(access, orgIds)
        .select(['org_id', (eb) => eb.fn.countAll<number>().as('total')])
        .groupBy('org_id')
        .execute();
      return new Map(rows.map((row) => [row.org_id, row.total]));
    },

    zonesOfSites: (access, siteIds) =>
      read
        .selectFrom('zones')
        .selectAll()
        .where(visibleAtSite(access, 'zones'))
        .where(isOneOf('zones.site_id', siteIds))
        .orderBy('name')
        .orderBy('id')
        .limit(MAX_ZONES * Math.max(siteIds.length, 1))
        .execute(),

    bindingsOfIntegrations: (access, integrationIds) =>
      read
        .selectFrom('site_bindings')
        .selectAll()
        .where(visibleAtSite(access, 'site_bindings'))
        .where(isOneOf('site_bindings.integration_id', integrationIds))
        .orderBy('created_at')
        .orderBy('id')
        .limit(MAX_BINDINGS * Math.max(integrationIds.length, 1))
        .execute(),

    async integrationsOfSites(access, siteIds) {
      const rows = await read
        .selectFrom('site_bindings')
        .select(['site_id', 'integration_id'])
        .distinct()
        .where(visibleAtSite(access, 'site_bindings'))
        .where(isOneOf('site_bindings.site_id', siteIds))
        .orderBy('integration_id')
        .execute();
      return rows.map((row) => ({ siteId: row.site_id, integrationId: row.integration_id }));
    },

    externalIds: (access, kind, ownerIds) =>
      read
        .selectFrom('external_ids')
        .selectAll()
        .where('owner_kind', '=', kind)
        .where(isOneOf('external_ids.owner_id', ownerIds))
        .where(
          // Of its org, a site-limited principal learns the name.
          kind === 'site'
            ? visibleAtSite(access, 'external_ids', 'owner_id')
            : access.siteIds === null
              ? visibleInOrg(access, 'external_ids')
              : NEVER,
        )
        .orderBy('namespace')
        .orderBy('value')
        .execute(),

    webhookSecrets: (access, integrationIds) =>
      read
        .selectFrom('secrets')
        .select(['id', 'integration_id', 'purpose', 'hint', 'created_at', 'expires_at', 'last_used_at'])
        .where('purpose', '=', 'webhook')
        .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now())]))
        .where(isOneOf('secrets.integration_id', integrationIds))
        .where((eb) =>
          eb.exists(
            eb
              .selectFrom('integrations')
              .select('integrations.id')
              .whereRef('integrations.id', '=', 'secrets.integration_id')
              .where(visibleIntegration(access)),
          ),
        )
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .execute(),
  };
}
