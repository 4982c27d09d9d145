import type { Generated } from 'kysely';
import type { StatusTables } from './status-tables.ts';

// The tables, as Kysely sees them: the same on SQLite and PostgreSQL. Instants are milliseconds since the epoch (bigint
// columns read as numbers), flags are 0 or 1, JSON is text, bytes are BLOB or bytea. Enums are the texts of schema/words.ts.

/** Facts about the store itself: `epoch` (random, made once; a new one means that cursors of old are void). */
export interface MetaTable {
  key: string;
  value: string;
}

/**
 * One row per sequence. Numbers of `log` are given inside the writing transaction by updating this row, whose lock is
 * held until commit: order of numbers = order of commit, and no reader can see a hole.
 */
export interface SequenceHeadsTable {
  name: string;
  value: number;
}

/** `revision` moves with every committed change of the org's directory, inventory or status: caches are keyed by it. */
export interface OrgsTable {
  id: string;
  name: string;
  customer_ref: string | null;
  revision: number;
  created_at: number;
  updated_at: number;
  /** 1: of a sandbox, where events may be made up. Set by whoever starts a sandbox, and by no API. */
  is_sandbox: Generated<number>;
}

export interface SitesTable {
  id: string;
  org_id: string;
  name: string;
  address: string | null;
  latitude: number | null;
  longitude: number | null;
  timezone: string | null;
  created_at: number;
  updated_at: number;
}

export interface ZonesTable {
  id: string;
  org_id: string;
  site_id: string;
  parent_id: string | null;
  name: string;
  kind: string;
}

/** Ids that others gave. `owner_kind`: org, site, device. */
export interface ExternalIdsTable {
  owner_kind: string;
  owner_id: string;
  org_id: string;
  namespace: string;
  value: string;
  integration_id: string | null;
}

export interface IntegrationsTable {
  id: string;
  org_id: string;
  /** The vendor's slug. */
  vendor: string;
  name: string;
  base_url: string | null;
  settings: string;
  state: string;
  ingest_mode: string;
  signature_profile: string | null;
  tolerance_seconds: number;
  enabled: number;
  version: number;
  idempotency_key: string | null;
  account_id: string | null;
  account_name: string | null;
  /** Registration at the platform's webhook API, when it has one. */
  webhook_native_id: string | null;
  last_webhook_at: number | null;
  last_event_at: number | null;
  last_sync_at: number | null;
  last_sync_state: string | null;
  /** AdapterErrorCode and message of what fails now; null when nothing does. */
  error_code: string | null;
  error_message: string | null;
  expected_silence_ms: number | null;
  resume_token: string | null;
  /** Since when a platform that only pushes, and cannot be asked instead, has been missing; null while it is heard. */
  silent_since: Generated<number | null>;
  /** When its inventory was last polled because it had fallen silent. */
  last_fallback_at: Generated<number | null>;
  created_at: number;
  updated_at: number;
}

/** Counters by hour (`hour` = floor(ms / 3,600,000)). */
export interface IntegrationCountersTable {
  integration_id: string;
  hour: number;
  events: number;
  rejected: number;
  duplicates: number;
  /** Differences that asking found where push should have told: all, and those that became events. */
  polled: Generated<number>;
  repaired: Generated<number>;
  /** Events that were overtaken by newer ones. */
  late: Generated<number>;
  /** Events that the platform told by itself, and those that were found by asking it. */
  pushed: Generated<number>;
  asked: Generated<number>;
}

/** Sealed by the vault. `purpose`: credentials, webhook. */
export interface SecretsTable {
  id: string;
  integration_id: string;
  purpose: string;
  sealed: Uint8Array;
  hint: string;
  created_at: number;
  expires_at: number | null;
  last_used_at: number | null;
}

export interface SiteBindingsTable {
  id: string;
  org_id: string;
  integration_id: string;
  vendor_org_id: string;
  vendor_site_id: string;
  vendor_site_name: string | null;
  site_id: string;
  created_at: number;
}

export interface DevicesTable {
  id: string;
  org_id: string;
  integration_id: string;
  /** The vendor's slug. */
  vendor: string;
  native_id: string;
  vendor_org_id: string;
  vendor_site_id: string;
  site_id: string | null;
  zone_id: string | null;
  parent_id: string | null;
  system: string | null;
  name: string;
  type: string;
  vendor_type: string | null;
  ip: string | null;
  hostname: string | null;
  manufacturer: string | null;
  model: string | null;
  firmware: string | null;
  serial_number: string | null;
  /** JSON lists of strings. */
  mac_addresses: string;
  capabilities: string;
  tags: string;
  /** JSON of Telemetry with observedAt, or null. */
  telemetry: string | null;
  warranty_expires_at: number | null;
  end_of_support_at: number | null;
  state: string;
  /** Index in DEVICE_STATES: what STATE_SEVERITY orders by. */
  state_rank: number;
  state_reason: string | null;
  state_since: number;
  state_observed_at: number;
  state_vendor: string | null;
  last_seen_at: number | null;
  /** Of the draft without its status: equal hashes mean nothing to write. */
  content_hash: string;
  /** Complete syncs in a row that did not list it. */
  missed_syncs: number;
  /** Lower-case words for search. */
  search_text: string;
  first_seen_at: number;
  updated_at: number;
  removed_at: number | null;
  /** JSON of the newest word of each source, newest first. */
  evidence: Generated<string>;
  /** When the claim behind `state` arrived and in which delivery: with `state_observed_at` its place among all claims. */
  claim_received_at: Generated<number>;
  claim_inbox_id: Generated<number>;
  /** What the device becomes at `pending_until` unless it recovers; `pending_since` is by the source's clock. */
  pending_state: Generated<string | null>;
  pending_reason: Generated<string | null>;
  pending_since: Generated<number | null>;
  pending_until: Generated<number | null>;
  /** 1: changes too often. `flap_changes`: JSON of the instants of its last changes; at `flap_until` it is looked at again. */
  flapping: Generated<number>;
  flap_changes: Generated<string>;
  flap_until: Generated<number | null>;
  /**
   * Id of what explains this one's failure: a device behind which it is, its site (power) or its integration (platform);
   * null: nothing does. `incident_id`: the incident that it is in, as its cause or as one that is explained.
   */
  suppressed_by: Generated<string | null>;
  incident_id: Generated<string | null>;
  /** The window of planned work that it is in now. */
  maintenance_id: Generated<string | null>;
  /** When it counts as silent unless it is heard; null: nobody waits for it. */
  silence_due_at: Generated<number | null>;
  latitude: Generated<number | null>;
  longitude: Generated<number | null>;
}

export interface DeviceMacsTable {
  mac: string;
  device_id: string;
  org_id: string;
}
export interface DeviceTagsTable {
  device_id: string;
  org_id: string;
  tag: string;
}

/** `seq` is of the `log` sequence. `fields` is JSON of FieldChange[]. */
export interface InventoryChangesTable {
  seq: number;
  org_id: string;
  site_id: string | null;
  device_id: string;
  kind: string;
  at: number;
  fields: string;
}

export interface SyncRunsTable {
  id: string;
  org_id: string;
  integration_id: string;
  trigger: string;
  state: string;
  started_at: number;
  finished_at: number | null;
  listed: number;
  added: number;
  updated: number;
  removed: number;
  unmapped: number;
  errors: string;
  idempotency_key: string | null;
}

/** Everything that arrived and was authentic, verbatim; and, as dead letters, a bounded number of what was not. */
export interface InboxTable {
  id: Generated<number>;
  org_id: string;
  integration_id: string;
  received_at: number;
  source: string;
  delivery_key: Uint8Array;
  headers: string;
  body: Uint8Array;
  /** PENDING, DONE, DEAD (can be replayed), REFUSED (was not authentic; cannot). */
  status: string;
  attempts: number;
  next_attempt_at: number | null;
  stage: string | null;
  reason: string | null;
  settled_at: number | null;
  /** JSON list of sentences: what examining a refused delivery found. */
  diagnosis: Generated<string | null>;
  /** How often it was given back to be processed again. */
  replays: Generated<number>;
}

/**
 * What was seen in the last 7 days. `key`: 12 bytes of SHA-256 behind 4 bytes of time, so that inserts stay local: for a
 * delivery the minute that stands in its bytes, for an event the day of its receipt. `kind`: delivery (`ref` = 0),
 * event (`ref` = log sequence).
 */
export interface DedupeTable {
  key: Uint8Array;
  kind: string;
  ref: number;
  duplicates: number;
  seen_at: number;
}

/** One-time links to media that were used. `key`: what makes a link one of a kind; `expires_at`: when it ends by itself. */
export interface MediaLinksTable {
  key: Uint8Array;
  expires_at: number;
}

/** The log. `seq` is of the `log` sequence; `key` is the event's identity and its id (`evt_` + hex). */
export interface EventsTable {
  seq: number;
  key: Uint8Array;
  org_id: string;
  site_id: string | null;
  device_id: string | null;
  integration_id: string;
  inbox_id: number | null;
  family: string;
  type: string;
  severity: number;
  occurred_at: number;
  received_at: number;
  clock_skew_ms: number | null;
  late: number;
  vendor_event_id: string | null;
  vendor_code: string | null;
  origin: string;
  summary: string;
  /** State claimed and state before; null when the event says nothing about state. `changed`: the claim moved the state. */
  state: string | null;
  previous_state: string | null;
  state_reason: string | null;
  changed: number;
  /** JSON of EventDetails, MediaDraft[] and the raw record. */
  details: string;
  media: string;
  raw: string | null;
  /** When the claimed state was so, where that is not when the event happened. */
  observed_at: Generated<number | null>;
  /** JSON of the reasons of a DEGRADED state that the claim does not end. */
  keeps_degraded: Generated<string | null>;
  /** The platform's own word for the claimed state. */
  state_vendor: Generated<string | null>;
  /** 1: our own conclusion (an outage that has lasted, a silence that was taken back), no source's claim. */
  derived: Generated<number>;
  /** 1: explained by the failure of another device or of a platform (`incident_id`). */
  suppressed: Generated<number>;
  /** 1: during planned work. */
  in_maintenance: Generated<number>;
  incident_id: Generated<string | null>;
  /** What the device was then; null for an event of no device, and for one that was logged before there was the column. */
  device_type: Generated<string | null>;
}

/** Exactly one owner at a time; `fence` goes up with every new owner. */
export interface LeasesTable {
  name: string;
  owner: string;
  fence: number;
  expires_at: number;
}

/**
 * How a device names another one that belongs to it; looked up when it is asked for. `integration_id` empty: any of the
 * org. `namespace` empty: `value` is a native id.
 */
export interface DeviceLinksTable {
  device_id: string;
  org_id: string;
  relation: string;
  integration_id: string;
  namespace: string;
  value: string;
}

/** Parts of a pushed inventory until all of them are there. `device_ids`: JSON list of our ids. */
export interface InventoryPartsTable {
  integration_id: string;
  list_id: string;
  part: number;
  parts: number;
  received_at: number;
  device_ids: string;
}

/** Events to be created at other platforms: an outbox. `payload` is JSON of what the adapter gets. */
export interface CustomEventsTable {
  id: string;
  org_id: string;
  event_key: Uint8Array;
  source_device_id: string;
  target_device_id: string;
  target_integration_id: string;
  payload: string;
  /** PENDING, DONE, FAILED. */
  state: string;
  attempts: number;
  /** 1: an attempt was made of which nobody knows whether it worked. */
  is_uncertain: number;
  next_attempt_at: number;
  error_code: string | null;
  error_message: string | null;
  created_at: number;
  settled_at: number | null;
}

/** What we know of the clock of an integration's source; a row is written when it goes wrong, and when it is right again. */
export interface SourceClocksTable {
  integration_id: string;
  /** Our clock minus its own. */
  skew_ms: number;
  is_off: number;
  since: number;
}

/** Codes of a platform that no table of ours knows. */
export interface UnknownCodesTable {
  integration_id: string;
  org_id: string;
  code: string;
  count: number;
  first_seen_at: number;
  last_seen_at: number;
}

/**
 * Seals over the log: `hash` is of the events behind `after_seq` up to `to_seq` and of `previous`, the hash before it. A
 * segment begins where the one before it ended.
 */
export interface LogChainTable {
  to_seq: number;
  after_seq: number;
  events: number;
  previous: Uint8Array;
  hash: Uint8Array;
  made_at: number;
}

export interface Tables extends StatusTables {
  log_chain: LogChainTable;
  unknown_codes: UnknownCodesTable;
  meta: MetaTable;
  sequence_heads: SequenceHeadsTable;
  orgs: OrgsTable;
  sites: SitesTable;
  zones: ZonesTable;
  external_ids: ExternalIdsTable;
  integrations: IntegrationsTable;
  integration_counters: IntegrationCountersTable;
  secrets: SecretsTable;
  site_bindings: SiteBindingsTable;
  devices: DevicesTable;
  device_macs: DeviceMacsTable;
  device_tags: DeviceTagsTable;
  inventory_changes: InventoryChangesTable;
  sync_runs: SyncRunsTable;
  inbox: InboxTable;
  dedupe: DedupeTable;
  events: EventsTable;
  leases: LeasesTable;
  media_links: MediaLinksTable;
  device_links: DeviceLinksTable;
  inventory_parts: InventoryPartsTable;
  custom_events: CustomEventsTable;
  source_clocks: SourceClocksTable;
}
