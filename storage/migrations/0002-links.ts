import type { SchemaStep } from './schema-step.ts';

/** Links between devices, inventories that come in parts, events to be created at other platforms, clocks of sources. */
export const links: SchemaStep = (t) => [
  `create table "device_links" (
    "device_id" ${t.text} not null,
    "org_id" ${t.text} not null,
    "relation" ${t.text} not null,
    "integration_id" ${t.text} not null,
    "namespace" ${t.text} not null,
    "value" ${t.text} not null,
    primary key ("device_id", "relation", "integration_id", "namespace", "value")
  ) ${t.keyTable}`,
  `create index "device_links_by_value_namespace_org_id" on "device_links" ("value", "namespace", "org_id")`,
  `create table "inventory_parts" (
    "integration_id" ${t.text} not null,
    "list_id" ${t.text} not null,
    "part" ${t.int} not null,
    "parts" ${t.int} not null,
    "received_at" ${t.int} not null,
    "device_ids" ${t.text} not null,
    primary key ("integration_id", "list_id", "part")
  ) ${t.table}`,
  `create table "custom_events" (
    "id" ${t.text} not null primary key,
    "org_id" ${t.text} not null,
    "event_key" ${t.bytes} not null,
    "source_device_id" ${t.text} not null,
    "target_device_id" ${t.text} not null,
    "target_integration_id" ${t.text} not null,
    "payload" ${t.text} not null,
    "state" ${t.text} not null,
    "attempts" ${t.int} not null,
    "is_uncertain" ${t.int} not null,
    "next_attempt_at" ${t.int} not null,
    "error_code" ${t.text},
    "error_message" ${t.text},
    "created_at" ${t.int} not null,
    "settled_at" ${t.int}
  ) ${t.table}`,
  `create index "custom_events_due_by_next_attempt_at_id" on "custom_events" ("next_attempt_at", "id") where "state" = 'PENDING'`,
  `create index "custom_events_by_settled_at" on "custom_events" ("settled_at")`,
  `create index "custom_events_by_event_key" on "custom_events" ("event_key")`,
  `create table "source_clocks" (
    "integration_id" ${t.text} not null primary key,
    "skew_ms" ${t.int} not null,
    "is_off" ${t.int} not null,
    "since" ${t.int} not null
  ) ${t.table}`,
];
