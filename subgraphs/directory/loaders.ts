import type DataLoader from 'dataloader';
import type { AccessScope } from '../../schema/principal.ts';
import { MAX_PAGE_SIZE, type PageArgs } from '../../storage/connection.ts';
import type { DirectoryStore, SecretNote, SiteFilter, SiteListArgs } from '../../storage/directory-store.ts';
import type { StatusPolicyRow } from '../../storage/status-policies.ts';
import type { ConformanceFacts } from '../../storage/conformance-facts.ts';
import { NO_VITALS, type Vitals } from '../../storage/directory-store-vitals.ts';
import type {
  ExternalIdRow,
  IntegrationRow,
  MaintenanceWindowRow,
  OrgRow,
  SiteBindingRow,
  SiteRow,
  ZoneRow,
} from '../../storage/rows.ts';
import { createArgsLoader, createGroupLoader, createRowLoader, createValueLoader } from '../batch-loaders.ts';
import type { Listing } from '../listing.ts';

/** What one principal sees of the directory, read in batches. */
export interface DirectoryLoaders {
  readonly org: DataLoader<string, OrgRow | null>;
  readonly site: DataLoader<string, SiteRow | null>;
  readonly zone: DataLoader<string, ZoneRow | null>;
  readonly integration: DataLoader<string, IntegrationRow | null>;
  readonly orgExternalIds: DataLoader<string, ExternalIdRow[]>;
  readonly siteExternalIds: DataLoader<string, ExternalIdRow[]>;
  readonly zonesOfSite: DataLoader<string, ZoneRow[]>;
  readonly bindings: DataLoader<string, SiteBindingRow[]>;
  readonly webhookSecrets: DataLoader<string, SecretNote[]>;
  readonly vitals: DataLoader<string, Vitals>;
  /** Null for integrations of which the principal does not see all sites. */
  readonly conformance: DataLoader<string, ConformanceFacts | null>;
  readonly maintenanceWindow: DataLoader<string, MaintenanceWindowRow | null>;
  readonly statusPolicies: DataLoader<string, StatusPolicyRow[]>;
  /** @param activeAt milliseconds; null: all of them */
  windowsOfOrg(orgId: string, activeAt: number | null): Promise<readonly MaintenanceWindowRow[]>;
  windowsOfSite(siteId: string, activeAt: number | null): Promise<readonly MaintenanceWindowRow[]>;
  integrationsOfSite(siteId: string): Promise<IntegrationRow[]>;
  orgs(page: PageArgs): Promise<Listing<OrgRow>>;
  sitesOfOrg(orgId: string, args: SiteListArgs): Promise<Listing<SiteRow>>;
  integrationsOfOrg(orgId: string, page: PageArgs): Promise<Listing<IntegrationRow>>;
  /** Everything in scope, by name; at most MAX_PAGE_SIZE. */
  firstOrgs(): Promise<OrgRow[]>;
}

function isPresent<T>(value: T | null | Error): value is T {
  return value !== null && !(value instanceof Error);
}

export function createDirectoryLoaders(store: DirectoryStore, access: AccessScope): DirectoryLoaders {
  const integration = createRowLoader((ids) => store.integrations(access, ids));
  const integrationIds = createGroupLoader(
    (ids) => store.integrationsOfSites(access, ids),
    ({ siteId }) => siteId,
  );
  const sitePages = createArgsLoader((ids, args: SiteListArgs) => store.sitePages(access, ids, args));
  const siteCounts = createArgsLoader(async (ids, filter: SiteFilter) => {
    const counts = await store.siteCounts(access, ids, filter);
    return new Map(ids.map((id) => [id, counts.get(id) ?? 0]));
  });
  const integrationPages = createArgsLoader((ids, page: PageArgs) => store.integrationPages(access, ids, page));
  const integrationCounts = createValueLoader((ids) => store.integrationCounts(access, ids), 0);
  const orgWindows = createArgsLoader(async (ids, activeAt: number | null) => {
    const rows = Map.groupBy(await store.windowsOfOrgs(access, ids, activeAt), (row) => row.org_id);
    return new Map(ids.map((id) => [id, rows.get(id) ?? []]));
  });
  const siteWindows = createArgsLoader(async (ids, activeAt: number | null) => {
    const rows = Map.groupBy(await store.windowsOfSites(access, ids, activeAt), (row) => row.listed_at_site);
    return new Map(ids.map((id) => [id, rows.get(id) ?? []]));
  });
  const orgs = async (page: PageArgs) => ({
    page: await store.orgPage(access, page),
    total: () => store.orgCount(access),
  });

  return {
    org: createRowLoader((ids) => store.orgs(access, ids)),
    site: createRowLoader((ids) => store.sites(access, ids)),
    zone: createRowLoader((ids) => store.zones(access, ids)),
    integration,
    orgExternalIds: createGroupLoader(
      (ids) => store.externalIds(access, 'org', ids),
      (row) => row.owner_id,
    ),
    siteExternalIds: createGroupLoader(
      (ids) => store.externalIds(access, 'site', ids),
      (row) => row.owner_id,
    ),
    zonesOfSite: createGroupLoader(
      (ids) => store.zonesOfSites(access, ids),
      (row) => row.site_id,
    ),
    bindings: createGroupLoader(
      (ids) => store.bindingsOfIntegrations(access, ids),
      (row) => row.integration_id,
    ),
    webhookSecrets: createGroupLoader(
      (ids) => store.webhookSecrets(access, ids),
      (row) => row.integration_id,
    ),
    maintenanceWindow: createRowLoader((ids) => store.windows(access, ids)),
    statusPolicies: createGroupLoader(
      (ids) => store.statusPolicies(access, ids),
      (row) => row.org_id,
    ),
    windowsOfOrg: (orgId, activeAt) => orgWindows.load(orgId, activeAt),
    windowsOfSite: (siteId, activeAt) => siteWindows.load(siteId, activeAt),
    vitals: createValueLoader((ids) => store.vitals(access, ids), NO_VITALS),
    conformance: createValueLoader((ids) => store.conformance(access, ids), null),

    async integrationsOfSite(siteId) {
      const pairs = await integrationIds.load(siteId);
      const rows = await integration.loadMany(pairs.map((pair) => pair.integrationId));
      return rows.filter(isPresent).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },

    orgs,

    async sitesOfOrg(orgId, args) {
      return {
        page: await sitePages.load(orgId, args),
        total: () => siteCounts.load(orgId, { name: args.name, states: args.states }),
      };
    },

    async integrationsOfOrg(orgId, page) {
      return { page: await integrationPages.load(orgId, page), total: () => integrationCounts.load(orgId) };
    },

    async firstOrgs() {
      const { page } = await orgs({ first: MAX_PAGE_SIZE, after: null });
      return [...page.rows];
    },
  };
}
