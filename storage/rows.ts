import type { Selectable } from 'kysely';
import type { MaintenanceWindowsTable } from './status-tables.ts';
import type {
  CustomEventsTable,
  DevicesTable,
  EventsTable,
  ExternalIdsTable,
  InboxTable,
  IntegrationsTable,
  InventoryChangesTable,
  OrgsTable,
  SecretsTable,
  SiteBindingsTable,
  SitesTable,
  SyncRunsTable,
  ZonesTable,
} from './tables.ts';

export type OrgRow = Selectable<OrgsTable>;
export type SiteRow = Selectable<SitesTable>;
export type ZoneRow = Selectable<ZonesTable>;
export type ExternalIdRow = Selectable<ExternalIdsTable>;
export type IntegrationRow = Selectable<IntegrationsTable>;
export type SecretRow = Selectable<SecretsTable>;
export type SiteBindingRow = Selectable<SiteBindingsTable>;
export type DeviceRow = Selectable<DevicesTable>;
export type InventoryChangeRow = Selectable<InventoryChangesTable>;
export type SyncRunRow = Selectable<SyncRunsTable>;
export type InboxRow = Selectable<InboxTable>;
export type EventRow = Selectable<EventsTable>;
export type MaintenanceWindowRow = Selectable<MaintenanceWindowsTable>;
export type CustomEventRow = Selectable<CustomEventsTable>;
