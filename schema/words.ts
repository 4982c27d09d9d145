// The enums of shared.graphql as types and value lists, for code that is not a resolver. A test holds them equal.

export const DEVICE_TYPES = [
  'CAMERA',
  'DOOR',
  'READER',
  'PANEL',
  'CONTROLLER',
  'INPUT',
  'OUTPUT',
  'DETECTOR',
  'BRIDGE',
  'SENSOR',
  'RECORDER',
  'SERVER',
  'INTERCOM',
  'SIREN',
  'MICROPHONE',
  'SPEAKER',
  'OTHER',
] as const;
export type DeviceType = (typeof DEVICE_TYPES)[number];

/** Worst first: the order of STATE_SEVERITY. */
export const DEVICE_STATES = ['OFFLINE', 'DEGRADED', 'UNKNOWN', 'ONLINE'] as const;
export type DeviceState = (typeof DEVICE_STATES)[number];

export const STATUS_REASONS = [
  'REPORTED',
  'POWER',
  'NETWORK',
  'CREDENTIALS',
  'PARENT_DOWN',
  'PLATFORM_DOWN',
  'SILENCE',
  'TAMPER',
  'OTHER',
] as const;
export type StatusReason = (typeof STATUS_REASONS)[number];

/** What an incident was concluded to be. */
export const INCIDENT_CAUSES = ['DEVICE_DOWN', 'PLATFORM_DOWN', 'SITE_POWER'] as const;
export type IncidentCause = (typeof INCIDENT_CAUSES)[number];

export const EVIDENCE_SOURCES = [
  'WEBHOOK',
  'STREAM',
  'POLL',
  'ALARM_RECEIVER',
  'SUPERVISION',
  'SILENCE',
  'OPERATOR',
  'SANDBOX',
] as const;
export type EvidenceSource = (typeof EVIDENCE_SOURCES)[number];

export const EVENT_FAMILIES = [
  'HEALTH',
  'ALARM',
  'ACCESS',
  'VIDEO',
  'SENSOR',
  'SYSTEM',
  'SUPERVISION',
  'COMMAND',
  'INVENTORY',
] as const;
export type EventFamily = (typeof EVENT_FAMILIES)[number];

/** Ascending: the index is the number that the store keeps. */
export const SEVERITIES = ['INFO', 'NOTICE', 'WARNING', 'CRITICAL'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const INTEGRATION_STATES = ['PENDING', 'CONNECTED', 'DEGRADED', 'REAUTH_REQUIRED', 'DISABLED'] as const;
export type IntegrationState = (typeof INTEGRATION_STATES)[number];

export const INGEST_MODES = ['PUSH', 'PUSH_WITH_POLL_FALLBACK', 'POLLING_FALLBACK_ACTIVE', 'POLL_ONLY'] as const;
export type IngestMode = (typeof INGEST_MODES)[number];

export const SIGNATURE_PROFILES = [
  'CONTRACT_V1',
  'TIMESTAMPED_HMAC',
  'STANDARD_WEBHOOKS',
  'MILESTONE_NATIVE',
  'PATH_SECRET',
] as const;
export type SignatureProfile = (typeof SIGNATURE_PROFILES)[number];

export const ZONE_KINDS = ['BUILDING', 'FLOOR', 'AREA', 'PARTITION', 'PERIMETER', 'OTHER'] as const;
export type ZoneKind = (typeof ZONE_KINDS)[number];

export const ACCESS_OUTCOMES = [
  'GRANTED',
  'DENIED',
  'FORCED_OPEN',
  'HELD_OPEN',
  'CLOSED',
  'UNLOCKED',
  'LOCKED',
  'OTHER',
] as const;
export type AccessOutcome = (typeof ACCESS_OUTCOMES)[number];

export const DEVICE_CAPABILITIES = [
  'SIREN',
  'ARM',
  'DISARM',
  'UNLOCK',
  'OUTPUT',
  'CUSTOM_EVENT',
  'SNAPSHOT',
  'REBOOT',
  'EMITS_HEALTH',
  'EMITS_ALARM',
  'EMITS_ACCESS',
  'EMITS_VIDEO',
  'EMITS_SENSOR',
] as const;
export type DeviceCapability = (typeof DEVICE_CAPABILITIES)[number];

export const DEVICE_RELATIONS = ['WATCHES', 'WATCHED_BY'] as const;
export type DeviceRelation = (typeof DEVICE_RELATIONS)[number];

export const COVERAGE_MODES = ['PUSH', 'POLL_ONLY', 'NONE'] as const;
export type CoverageMode = (typeof COVERAGE_MODES)[number];

export const SYNC_STATES = ['RUNNING', 'SUCCEEDED', 'PARTIAL', 'FAILED'] as const;
export type SyncState = (typeof SYNC_STATES)[number];

export const SYNC_TRIGGERS = ['SCHEDULE', 'MANUAL', 'EXTERNAL', 'FIRST', 'FALLBACK'] as const;
export type SyncTrigger = (typeof SYNC_TRIGGERS)[number];

export const INVENTORY_CHANGE_KINDS = ['ADDED', 'UPDATED', 'MOVED', 'REMOVED', 'RESTORED'] as const;
export type InventoryChangeKind = (typeof INVENTORY_CHANGE_KINDS)[number];

export const DEAD_LETTER_STAGES = [
  'SIGNATURE',
  'REPLAY_WINDOW',
  'PARSE',
  'SCHEMA',
  'BINDING',
  'MAPPING',
  'DELIVERY',
] as const;
export type DeadLetterStage = (typeof DEAD_LETTER_STAGES)[number];

/** How far an event is on its way to the platform of a camera that watches its sensor. */
export const FORWARDING_STATES = ['PENDING', 'DONE', 'FAILED'] as const;
export type ForwardingState = (typeof FORWARDING_STATES)[number];

/** Formats that events can be had in. */
export const EVENT_FORMATS = ['NATIVE', 'CLOUDEVENTS', 'STANDARD_WEBHOOK'] as const;
export type EventFormat = (typeof EVENT_FORMATS)[number];

/** From worst to best. */
export const CONFORMANCE_GRADES = ['NONE', 'BRONZE', 'SILVER', 'GOLD', 'PLATINUM'] as const;
export type ConformanceGrade = (typeof CONFORMANCE_GRADES)[number];

export type UserErrorCode =
  | 'NOT_FOUND'
  | 'INVALID'
  | 'CONFLICT'
  | 'FORBIDDEN'
  | 'FORBIDDEN_IN_PRODUCTION'
  | 'UNREACHABLE'
  | 'UNAUTHENTICATED_AT_PLATFORM'
  | 'RATE_LIMITED'
  | 'TIMEOUT'
  | 'NOT_SUPPORTED'
  | 'EXPIRED'
  | 'OTHER';

/** A business outcome that is not the one asked for. */
export interface UserError {
  readonly code: UserErrorCode;
  readonly message: string;
  /** Mutable because generated resolver types are. */
  readonly path: string[] | null;
  readonly hint: string | null;
}
