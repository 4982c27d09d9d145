import type { Generated } from 'kysely';

// The tables that the status of devices is judged from and told by; the rules for all tables are in tables.ts.

/** How a device was, from instant to instant; the last segment is open. By the source's clock, kept 400 days. */
export interface StatusSegmentsTable {
  device_id: string;
  from_at: number;
  to_at: number | null;
  state: string;
  reason: string | null;
}

/** Planned work on an org, a site or a device: of the narrowest that is given. */
export interface MaintenanceWindowsTable {
  id: string;
  org_id: string;
  site_id: string | null;
  device_id: string | null;
  from_at: number;
  to_at: number;
  reason: string;
  created_by: string;
  created_at: number;
}

/** How status is judged; the narrowest row that says something wins: device, site and type, site, type, org. */
export interface StatusPoliciesTable {
  id: string;
  org_id: string;
  site_id: string | null;
  device_type: string | null;
  device_id: string | null;
  /** How long a device must be offline before it counts. */
  offline_dwell_ms: number | null;
  /** So many changes within the window are flapping. */
  flap_changes: number | null;
  flap_window_ms: number | null;
  /** How long silence is normal, instead of what was learned. */
  silence_ms: number | null;
  updated_at: number;
}

/** One cause and all it explains. `root_kind`: DEVICE, INTEGRATION, SITE. At most one is open per root. */
export interface IncidentsTable {
  id: string;
  org_id: string;
  site_id: string | null;
  root_kind: string;
  root_id: string;
  /** DEVICE_DOWN, PLATFORM_DOWN, SITE_POWER. */
  cause: string;
  summary: string;
  opened_at: number;
  closed_at: number | null;
  /** Devices that it explained so far. */
  affected: number;
  /** JSON of what it was concluded from, as its cause needs it to see the end. */
  details: string;
  updated_at: number;
}

/** When a source could not be heard. `integration_id` empty: we ourselves were away. */
export interface SourceOutagesTable {
  integration_id: string;
  from_at: number;
  to_at: number | null;
  cause: string;
}

/** How often devices of one kind at one integration are heard. `histogram`: JSON of counts by class of interval. */
export interface RhythmsTable {
  integration_id: string;
  type: string;
  samples: number;
  histogram: string;
  /** Silence beyond it is unusual; null until enough was heard. */
  limit_ms: number | null;
  updated_at: number;
}

/**
 * Present devices by org and site (`site_id` empty: not bound), kept by triggers with every write of a device, never
 * counted. Read `health_rows`: on PostgreSQL the newest changes are in `health_deltas` until they are folded in.
 */
export interface HealthCountsTable {
  org_id: string;
  site_id: string;
  total: number;
  online: number;
  offline: number;
  degraded: number;
  unknown: number;
  flapping: number;
  in_maintenance: number;
  suppressed: number;
}

/** Changes of counts in the order of writing, appended so that concurrent writers never wait for each other. */
export interface HealthDeltasTable extends HealthCountsTable {
  id: Generated<number>;
}

export interface StatusTables {
  status_segments: StatusSegmentsTable;
  maintenance_windows: MaintenanceWindowsTable;
  status_policies: StatusPoliciesTable;
  incidents: IncidentsTable;
  source_outages: SourceOutagesTable;
  rhythms: RhythmsTable;
  health_counts: HealthCountsTable;
  health_deltas: HealthDeltasTable;
  /** View of both: sums over it are the truth. */
  health_rows: HealthCountsTable;
}
