import type DataLoader from 'dataloader';
import type { AccessScope } from '../../schema/principal.ts';
import { MAX_PAGE_SIZE, type PageArgs } from '../../storage/connection.ts';
import type { DirectoryStore, SecretNote, SiteListArgs } from '../../storage/directory-store.ts';
import { NO_VITALS, type Vitals } from '../../storage/directory-store-vitals.ts';
import type { ExternalIdRow, IntegrationRow, OrgRow, SiteBindingRow, SiteRow, ZoneRow } from '../../storage/rows.ts';
import type { TextFilter } from '../../storage/sql-conditions.ts';
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
  const siteCounts = createArgsLoader(async (ids, name: TextFilter | null) => {
    const counts = await store.siteCounts(access, ids, name);
    return new Map(ids.map((id) => [id, counts.get(id) ?? 0]));
  });
  const integrationPages = createArgsLoader((ids, page: PageArgs) => store.integrationPages(access, ids, page));
  const integrationCounts = createValueLoader((ids) => store.integrationCounts(access, ids), 0);
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
    vitals: createValueLoader((ids) => store.vitals(access, ids), NO_VITALS),

    async integrationsOfSite(siteId) {
      const pairs = await integrationIds.load(siteId);
      const rows = await integration.loadMany(pairs.map((pair) => pair.integrationId));
      return rows.filter(isPresent).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },

    orgs,

    async sitesOfOrg(orgId, args) {
      return { page: await sitePages.load(orgId, args), total: () => siteCounts.load(orgId, args.name) };
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
