import {
  DEVICE_TYPES,
  INGEST_MODES,
  INTEGRATION_STATES,
  SIGNATURE_PROFILES,
  SYNC_STATES,
  ZONE_KINDS,
} from '../../schema/words.ts';
import { parsePageArgs } from '../../storage/connection.ts';
import type { IntegrationRow, OrgRow, SiteRow } from '../../storage/rows.ts';
import { connectionResolvers, edgeResolvers } from '../listing.ts';
import { toWord } from '../row-words.ts';
import { judgeConformance } from './conformance.ts';
import type { DirectoryVendor } from './context.ts';
import { createOrg, createSite } from './create.ts';
import type { Resolvers } from './generated/types.ts';
import type { PlatformStub } from './model.ts';

function vendorOf(vendors: readonly DirectoryVendor[], { vendor }: IntegrationRow): DirectoryVendor | undefined {
  return vendors.find(({ slug }) => slug === vendor);
}

function platformStub(vendors: readonly DirectoryVendor[], row: IntegrationRow): PlatformStub | null {
  const vendor = vendorOf(vendors, row);
  // Whoever only pushes cannot be asked how it is.
  if (vendor === undefined || vendor.ingest?.pushOnly === true) return null;
  return { __typename: `${vendor.graphqlName}Platform`, integrationId: row.id };
}

/** When something last came from the platform by itself, in milliseconds. */
function lastHeardAt({ last_event_at: event, last_webhook_at: webhook }: IntegrationRow): number | null {
  return event === null && webhook === null ? null : Math.max(event ?? 0, webhook ?? 0);
}

function since(at: number | null, now: () => number): number | null {
  return at === null ? null : Math.max(0, now() - at);
}

export const resolvers: Omit<Resolvers, 'Vendor'> = {
  Query: {
    viewer: (_, __, { principal }) => principal,
    org: (_, { id }, context) => context.read().org.load(id),
    orgs: (_, { first, after }, context) => context.read().orgs(parsePageArgs(first, after)),
    site: (_, { id }, context) => context.read().site.load(id),
    integration: (_, { id }, context) => context.read().integration.load(id),
    vendorSites: async (_, { integrationId }, { integrations, principal }) => [
      ...(await integrations.vendorSites(principal, integrationId)),
    ],
  },

  Mutation: {
    createOrg: (_, { input }, { store, principal }) => createOrg(store, principal, input),
    createSite: (_, { input }, { store, principal }) => createSite(store, principal, input),
    testIntegration: (_, { input }, { integrations, principal }) => integrations.testIntegration(principal, input),
    createIntegration: (_, { input }, { integrations, principal }) => integrations.createIntegration(principal, input),
    updateIntegration: (_, { input }, { integrations, principal }) => integrations.updateIntegration(principal, input),
    bindSite: (_, { input }, { integrations, principal }) => integrations.bindSite(principal, input),
    unbindSite: (_, { input }, { integrations, principal }) => integrations.unbindSite(principal, input),
    createMaintenanceWindow: (_, { input }, { maintenance, principal }) => maintenance.create(principal, input),
    deleteMaintenanceWindow: (_, { input }, { maintenance, principal }) => maintenance.delete(principal, input.id),
    setStatusPolicy: (_, { input }, { policies, principal }) => policies.set(principal, input),
    deleteStatusPolicy: (_, { input }, { policies, principal }) => policies.delete(principal, input.id),
    sendTestWebhook: (_, { input }, { integrations, principal }) => integrations.sendTestWebhook(principal, input),
    rotateWebhookSecret: (_, { input }, { integrations, principal }) =>
      integrations.rotateWebhookSecret(principal, input),
  },

  Viewer: {
    principal: ({ id }) => id,
    kind: ({ kind }) => kind,
    rateLimit: (_, __, context) => context.budget(),
    scopes: ({ scopes }) => [...scopes].toSorted(),
    orgs: (_, __, context) => context.read().firstOrgs(),
    sites: async ({ access }, __, context) => {
      if (access.siteIds === null) return null;
      const sites = await context.read().site.loadMany(access.siteIds);
      return sites.filter((site): site is SiteRow => site !== null && !(site instanceof Error));
    },
  },

  Org: {
    __resolveReference: ({ id }, context) => context.read().org.load(id),
    customerRef: (org, _, { principal }) => (principal.access.siteIds === null ? org.customer_ref : null),
    externalIds: ({ id }, _, context) => context.read().orgExternalIds.load(id),
    sites: ({ id }, { first, after, filter, orderBy }, context) =>
      context.read().sitesOfOrg(id, {
        page: parsePageArgs(first, after),
        name: filter?.name ?? null,
        states: filter?.states ?? null,
        field: orderBy?.field ?? 'NAME',
        direction: orderBy?.direction ?? 'ASC',
      }),
    maintenanceWindows: async ({ id }, { activeAt }, context) => [
      ...(await context.read().windowsOfOrg(id, activeAt ?? null)),
    ],
    statusPolicies: ({ id }, _, context) => context.read().statusPolicies.load(id),
    integrations: ({ id }, { first, after }, context) =>
      context.read().integrationsOfOrg(id, parsePageArgs(first, after)),
  },

  Site: {
    __resolveReference: ({ id }, context) => context.read().site.load(id),
    org: (site, _, context) => orgOf(site.org_id, context.read().org),
    externalIds: ({ id }, _, context) => context.read().siteExternalIds.load(id),
    coordinates: ({ latitude, longitude }) =>
      latitude === null || longitude === null ? null : { latitude, longitude },
    integrations: ({ id }, _, context) => context.read().integrationsOfSite(id),
    zones: ({ id }, _, context) => context.read().zonesOfSite.load(id),
    maintenanceWindows: async ({ id }, { activeAt }, context) => [
      ...(await context.read().windowsOfSite(id, activeAt ?? null)),
    ],
  },

  MaintenanceWindow: {
    __resolveReference: ({ id }, context) => context.read().maintenanceWindow.load(id),
    org: (row, _, context) => orgOf(row.org_id, context.read().org),
    site: (row, _, context) => (row.site_id === null ? null : context.read().site.load(row.site_id)),
    device: (row) => (row.device_id === null ? null : { id: row.device_id }),
    from: (row) => row.from_at,
    to: (row) => row.to_at,
    createdBy: (row) => row.created_by,
    createdAt: (row) => row.created_at,
  },

  StatusPolicy: {
    org: (row, _, context) => orgOf(row.org_id, context.read().org),
    site: (row, _, context) => (row.site_id === null ? null : context.read().site.load(row.site_id)),
    deviceType: (row) => toWord(DEVICE_TYPES, row.device_type, null),
    device: (row) => (row.device_id === null ? null : { id: row.device_id }),
    offlineDwell: (row) => row.offline_dwell_ms,
    flapChanges: (row) => row.flap_changes,
    flapWindow: (row) => row.flap_window_ms,
    silence: (row) => row.silence_ms,
    updatedAt: (row) => row.updated_at,
  },

  Zone: {
    __resolveReference: ({ id }, context) => context.read().zone.load(id),
    kind: ({ kind }) => toWord(ZONE_KINDS, kind, 'OTHER'),
    parent: (zone, _, context) => (zone.parent_id === null ? null : context.read().zone.load(zone.parent_id)),
  },

  ExternalId: {
    integration: (row, _, context) =>
      row.integration_id === null ? null : context.read().integration.load(row.integration_id),
  },

  Integration: {
    __resolveReference: ({ id }, context) => context.read().integration.load(id),
    vendor: (row, _, { vendors }) => vendorOf(vendors, row)?.enumValue ?? 'OTHER',
    org: (row, _, context) => orgOf(row.org_id, context.read().org),
    state: (row) => toWord(INTEGRATION_STATES, row.state, 'DEGRADED'),
    ingestMode: (row) => toWord(INGEST_MODES, row.ingest_mode, 'PUSH'),
    health: (row) => row,
    bindings: ({ id }, _, context) => context.read().bindings.load(id),
    webhook: (row) => (row.signature_profile === null ? null : row),
    quota: async ({ id }, _, context) =>
      // Counted for the integration as a whole, as conformance is.
      (await context.read().conformance.load(id)) === null ? null : context.quotaOf(id),
    conformance: async ({ id }, _, context) => {
      const facts = await context.read().conformance.load(id);
      return facts === null ? null : judgeConformance(facts, context.now());
    },
    platform: (row, _, { vendors }) => platformStub(vendors, row),
  },

  IntegrationHealth: {
    lastSyncAt: (row) => row.last_sync_at,
    lastSyncState: (row) => toWord(SYNC_STATES, row.last_sync_state, null),
    lastEventAt: (row) => lastHeardAt(row),
    events24h: async ({ id }, _, context) => (await context.read().vitals.load(id)).events24h,
    rejected24h: async ({ id }, _, context) => (await context.read().vitals.load(id)).rejected24h,
    deadLettersOpen: async ({ id }, _, context) => (await context.read().vitals.load(id)).deadLettersOpen,
    lagSeconds: async ({ id }, _, context) => {
      const lagMs = since((await context.read().vitals.load(id)).oldestPendingAt, context.now);
      return lagMs === null ? null : lagMs / 1_000;
    },
    silentFor: (row, _, { now }) => since(lastHeardAt(row), now),
    expectedSilence: (row) => row.expected_silence_ms,
    silentSince: (row) => row.silent_since,
    reconcile: async (row, _, context) => {
      const counts = (await context.read().vitals.load(row.id)).reconcile;
      return counts === null ? null : { ...counts, lastFallbackAt: row.last_fallback_at };
    },
  },

  VendorQuota: {
    window: ({ windowMs }) => windowMs,
  },

  SiteBinding: {
    vendorOrgId: (row) => row.vendor_org_id,
    vendorSiteId: (row) => row.vendor_site_id,
    vendorSiteName: (row) => row.vendor_site_name,
    site: (row, _, context) => siteOf(row.site_id, context.read().site),
  },

  InboundWebhook: {
    url: ({ id }, _, { publicUrl }) => new URL(`/webhooks/${id}`, publicUrl),
    signatureProfile: (row) => toWord(SIGNATURE_PROFILES, row.signature_profile, 'CONTRACT_V1'),
    toleranceSeconds: (row) => row.tolerance_seconds,
    secrets: ({ id }, _, context) => context.read().webhookSecrets.load(id),
    lastReceivedAt: (row) => row.last_webhook_at,
  },

  WebhookSecret: {
    createdAt: (row) => row.created_at,
    expiresAt: (row) => row.expires_at,
    lastUsedAt: (row) => row.last_used_at,
  },

  OrgConnection: connectionResolvers<OrgRow>(),
  OrgEdge: edgeResolvers<OrgRow>(),
  SiteConnection: connectionResolvers<SiteRow>(),
  SiteEdge: edgeResolvers<SiteRow>(),
  IntegrationConnection: connectionResolvers<IntegrationRow>(),
  IntegrationEdge: edgeResolvers<IntegrationRow>(),
};

interface Loader<Row> {
  load(id: string): Promise<Row | null>;
}

/** Whoever sees a site or an integration sees its org. */
async function orgOf(id: string, loader: Loader<OrgRow>): Promise<OrgRow> {
  const org = await loader.load(id);
  if (org === null) throw new RangeError('a visible row belongs to an org that is not');
  return org;
}

/** Whoever sees a binding sees its site. */
async function siteOf(id: string, loader: Loader<SiteRow>): Promise<SiteRow> {
  const site = await loader.load(id);
  if (site === null) throw new RangeError('a visible binding leads to a site that is not');
  return site;
}
