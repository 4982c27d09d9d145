import type { GraphQLResolveInfo } from 'graphql';
import {
  DEVICE_CAPABILITIES,
  DEVICE_STATES,
  DEVICE_TYPES,
  INCIDENT_CAUSES,
  INVENTORY_CHANGE_KINDS,
  STATUS_REASONS,
  SYNC_STATES,
  SYNC_TRIGGERS,
} from '../../schema/words.ts';
import { pageInfo, parsePageArgs } from '../../storage/connection.ts';
import type { DeviceDifference } from '../../storage/inventory-diff.ts';
import type { DeviceRow, SyncRunRow } from '../../storage/rows.ts';
import type { StatusSegment } from '../../storage/status-segments.ts';
import type { IncidentRow } from '../../storage/incident-store.ts';
import type { DeviceListArgs } from '../../storage/inventory-store-list.ts';
import { withAsOf } from '../as-of.ts';
import { connectionResolvers, edgeResolvers, toEntries } from '../listing.ts';
import { toWord } from '../row-words.ts';
import type { Context } from './context.ts';
import type { Resolvers } from './generated/types.ts';
import { instantOf } from './past-rows.ts';
import { evidenceOf } from './evidence.ts';
import { devicesOfIncident } from './incidents.ts';
import { everything, type ListParent, type PlacedDeviceListing } from './model.ts';
import {
  changesPageInfo,
  listArgs,
  parseErrors,
  parseTelemetry,
  parseTexts,
  reference,
  sourceStub,
} from './row-values.ts';
import { reasonOf } from './status-reason.ts';

/** A list of devices, wherever it hangs. */
function devices(
  info: GraphQLResolveInfo,
  context: Context,
  args: DeviceListArgs,
  parent: ListParent | null,
): Promise<PlacedDeviceListing> {
  return withAsOf(info, context.head, () => context.read().devices(args, parent));
}

export const resolvers: Omit<Resolvers, 'Vendor'> = {
  Query: {
    device: (_, { id, asOf }, context) => context.read().deviceAsOf(id, asOf ?? null),
    deviceByExternalId: (_, { namespace, value }, context) => context.read().deviceByExternalId(namespace, value),
    devices: (_, args, context, info) => devices(info, context, listArgs(args), null),
    deviceAggregate: async (_, { filter, groupBy }, context) => [
      ...(await context.read().aggregate({ filter: filter ?? null, search: null }, groupBy)),
    ],
    inventoryChanges: (_, { orgId, first, after, since }, context) =>
      context.read().changes({ orgId, page: parsePageArgs(first, after), since: since ?? null }),
    inventoryDiff: (_, { orgId, from, to, first, after }, context) =>
      context.read().diff({ orgId, from, to, page: parsePageArgs(first, after) }),
  },

  Mutation: {
    syncIntegration: (_, { input }, { sync, principal }) => sync.syncIntegration(principal, input),
  },

  // What a reference hangs on is asked of the store with the principal's scope: a foreign id is an empty one.
  Org: {
    __resolveReference: ({ id }) => ({ id }),
    devices: ({ id }, args, context, info) => devices(info, context, listArgs(args), { column: 'org_id', id }),
    incidents: ({ id }, { first, after, open }, context) =>
      context.read().incidentsOf('org_id', id, open ?? null, parsePageArgs(first, after)),
    health: ({ id }, _, context) => context.read().orgHealth.load(id),
    availability: ({ id }, { window }, context) => context.read().groupAvailability({ column: 'org_id', id }, window),
  },

  Site: {
    __resolveReference: ({ id }) => ({ id }),
    devices: ({ id }, args, context, info) => devices(info, context, listArgs(args), { column: 'site_id', id }),
    incidents: ({ id }, { first, after, open }, context) =>
      context.read().incidentsOf('site_id', id, open ?? null, parsePageArgs(first, after)),
    health: ({ id }, _, context) => context.read().siteHealth.load(id),
    availability: ({ id }, { window }, context) => context.read().groupAvailability({ column: 'site_id', id }, window),
    coverage: ({ id }, _, context) => context.read().coverage.load(id),
  },

  Integration: {
    __resolveReference: ({ id }) => ({ id }),
    syncRuns: ({ id }, { first, after }, context) => context.read().syncRuns(id, parsePageArgs(first, after)),
    rhythms: async ({ id }, _, context) => {
      const rhythms = await context.read().rhythms.load(id);
      return rhythms === null ? null : [...rhythms];
    },
  },

  DeviceRhythm: {
    deviceType: ({ deviceType }) => toWord(DEVICE_TYPES, deviceType, 'OTHER'),
  },

  Device: {
    __resolveReference: ({ id }, context) => context.read().device.load(id),
    type: ({ type }) => toWord(DEVICE_TYPES, type, 'OTHER'),
    vendorType: (row) => row.vendor_type,
    vendor: (row, _, { store }) => store.vendorValue(row.vendor),
    externalIds: ({ id }, _, context) => context.read().externalIds.load(id),
    coordinates: ({ latitude, longitude }) =>
      latitude === null || longitude === null ? null : { latitude, longitude },
    network: (row) => row,
    serialNumber: (row) => row.serial_number,
    site: (row) => reference(row.site_id),
    zone: (row) => reference(row.zone_id),
    integration: (row) => reference(row.integration_id),
    parent: (row, _, context) =>
      row.parent_id === null ? null : context.read().deviceAsOf(row.parent_id, instantOf(row)),
    children: ({ id }, { first, after }, context, info) =>
      devices(info, context, everything(parsePageArgs(first, after)), { column: 'parent_id', id }),
    linkedDevices: async ({ id }, { relation }, context) => {
      const links = await context.read().links.load(id);
      return relation ? links.filter((link) => link.relation === relation) : links;
    },
    status: (row) => row,
    statusHistory: (row, { window, first, after }, context) =>
      context.read().history(row, window, parsePageArgs(first, after)),
    availability: (row, { window }, context) => context.read().deviceAvailability(row, window),
    telemetry: (row) => parseTelemetry(row.telemetry),
    lifecycle: ({ warranty_expires_at: warrantyExpiresAt, end_of_support_at: endOfSupportAt }) =>
      warrantyExpiresAt === null && endOfSupportAt === null ? null : { warrantyExpiresAt, endOfSupportAt },
    capabilities: (row) =>
      parseTexts(row.capabilities).flatMap((capability) => toWord(DEVICE_CAPABILITIES, capability, [])),
    tags: (row) => parseTexts(row.tags),
    source: (row, _, { vendors }) => sourceStub(vendors, row),
    firstSeenAt: (row) => row.first_seen_at,
    updatedAt: (row) => row.updated_at,
    removedAt: (row) => row.removed_at,
  },

  ExternalId: {
    integration: (row) => reference(row.integration_id),
  },

  DeviceLink: {
    device: async ({ other_id: id }, _, context) => {
      const device = await context.read().device.load(id);
      // The link was read a moment ago, by the same principal.
      if (device === null) throw new RangeError('a linked device disappeared while it was read');
      return device;
    },
  },

  DeviceNetwork: {
    macAddresses: (row) => parseTexts(row.mac_addresses),
  },

  DeviceStatus: {
    state: ({ state }) => toWord(DEVICE_STATES, state, 'UNKNOWN'),
    reason: (row, _, context) =>
      reasonOf(row, async () => instantOf(row) === null && (await context.read().isAway.load(row.integration_id))),
    since: (row) => row.state_since,
    lastSeenAt: (row) => row.last_seen_at,
    silentAt: (row) => (instantOf(row) === null && row.removed_at === null ? row.silence_due_at : null),
    observedAt: (row) => row.state_observed_at,
    stale: async (row, _, context) =>
      instantOf(row) === null &&
      context.store.isStale(row.vendor, row.state_observed_at, await context.read().listedAt.load(row.integration_id)),
    vendorState: (row) => row.state_vendor,
    flapping: (row) => row.flapping === 1,
    pendingState: (row) => toWord(DEVICE_STATES, row.pending_state, null),
    pendingUntil: (row) => row.pending_until,
    suppressedBy: (row, _, context) =>
      row.suppressed_by === null ? null : context.read().device.load(row.suppressed_by),
    incident: (row, _, context) => (row.incident_id === null ? null : context.read().incident.load(row.incident_id)),
    maintenance: (row) => reference(row.maintenance_id),
    evidence: (row) => evidenceOf(row),
  },

  StatusSegment: {
    state: ({ state }) => toWord(DEVICE_STATES, state, 'UNKNOWN'),
    reason: ({ reason }) => toWord(STATUS_REASONS, reason, null),
  },
  StatusSegmentConnection: connectionResolvers<StatusSegment>(),
  StatusSegmentEdge: edgeResolvers<StatusSegment>(),

  DeviceConnection: {
    ...connectionResolvers<DeviceRow>(),
    asOfCursor: ({ asOf }, _, { places }) => places.encode(asOf ?? 0, null),
    facets: (list, { fields, limit }, context) =>
      fields.map(async (field) => ({ field, buckets: [...(await context.read().facet(list, field, limit))] })),
    sources: async (list, _, context) => [...(await context.read().sources(list))],
  },
  DeviceEdge: edgeResolvers<DeviceRow>(),

  AggregateRow: {
    keys: ({ keys }) => [...keys],
  },

  SourceReport: {
    integration: ({ integrationId }) => ({ id: integrationId }),
  },

  InventoryChange: {
    cursor: ({ cursor }) => cursor(),
    kind: ({ kind }) => toWord(INVENTORY_CHANGE_KINDS, kind, 'UPDATED'),
    at: ({ row }) => row.at,
    deviceId: ({ row }) => row.device_id,
    device: ({ row }, _, context) => context.read().device.load(row.device_id),
    fields: ({ fields }) => [...fields],
  },
  InventoryChangeConnection: {
    edges: ({ changes }) => changes.map((change) => ({ change })),
    nodes: ({ changes }) => [...changes],
    pageInfo: (list) => changesPageInfo(list),
    resetRequired: ({ isResetRequired }) => isResetRequired,
  },
  InventoryChangeEdge: {
    cursor: ({ change }) => change.cursor(),
    node: ({ change }) => change,
  },

  Incident: {
    __resolveReference: ({ id }, context) => context.read().incident.load(id),
    org: (row) => ({ id: row.org_id }),
    site: (row) => reference(row.site_id),
    cause: (row) => toWord(INCIDENT_CAUSES, row.cause, 'DEVICE_DOWN'),
    rootDevice: (row, _, context) => (row.root_kind === 'DEVICE' ? context.read().device.load(row.root_id) : null),
    rootIntegration: (row) => (row.root_kind === 'INTEGRATION' ? { id: row.root_id } : null),
    openedAt: (row) => row.opened_at,
    closedAt: (row) => row.closed_at,
    affectedCount: (row) => row.affected,
    devices: (row, { first, after }, context, info) =>
      devices(info, context, everything(parsePageArgs(first, after)), devicesOfIncident(row)),
  },
  IncidentConnection: connectionResolvers<IncidentRow>(),
  IncidentEdge: edgeResolvers<IncidentRow>(),

  InventoryDifference: {
    device: ({ deviceId }, _, context) => context.read().device.load(deviceId),
    fields: ({ fields }) => [...fields],
  },
  InventoryDiffConnection: {
    edges: (page) => toEntries(page),
    nodes: ({ rows }) => [...rows],
    pageInfo: (page) => pageInfo(page),
  },
  InventoryDiffEdge: edgeResolvers<DeviceDifference>(),

  SyncRun: {
    trigger: ({ trigger }) => toWord(SYNC_TRIGGERS, trigger, 'SCHEDULE'),
    state: ({ state }) => toWord(SYNC_STATES, state, 'FAILED'),
    startedAt: (row) => row.started_at,
    finishedAt: (row) => row.finished_at,
    errors: (row) => parseErrors(row.errors),
  },
  SyncRunConnection: connectionResolvers<SyncRunRow>(),
  SyncRunEdge: edgeResolvers<SyncRunRow>(),
};
