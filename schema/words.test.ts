import { readFileSync } from 'node:fs';
import { type EnumTypeDefinitionNode, Kind, parse } from 'graphql';
import { expect, it } from 'vitest';
import * as words from './words.ts';

const files = [
  './shared.graphql',
  ...['directory', 'inventory', 'events'].map((name) => `../subgraphs/${name}/schema.graphql`),
];
const enums = new Map(
  files
    .flatMap((file) => parse(readFileSync(new URL(file, import.meta.url), 'utf8')).definitions)
    .filter((node): node is EnumTypeDefinitionNode => node.kind === Kind.ENUM_TYPE_DEFINITION)
    .map((node) => [node.name.value, (node.values ?? []).map(({ name }) => name.value)]),
);

it.each([
  ['DeviceType', words.DEVICE_TYPES],
  ['DeviceState', words.DEVICE_STATES],
  ['StatusReason', words.STATUS_REASONS],
  ['IncidentCause', words.INCIDENT_CAUSES],
  ['ConformanceGrade', words.CONFORMANCE_GRADES],
  ['EvidenceSource', words.EVIDENCE_SOURCES],
  ['EventFamily', words.EVENT_FAMILIES],
  ['Severity', words.SEVERITIES],
  ['IntegrationState', words.INTEGRATION_STATES],
  ['IngestMode', words.INGEST_MODES],
  ['SignatureProfile', words.SIGNATURE_PROFILES],
  ['ZoneKind', words.ZONE_KINDS],
  ['AccessOutcome', words.ACCESS_OUTCOMES],
  ['DeviceCapability', words.DEVICE_CAPABILITIES],
  ['DeviceRelation', words.DEVICE_RELATIONS],
  ['CoverageMode', words.COVERAGE_MODES],
  ['SyncState', words.SYNC_STATES],
  ['SyncTrigger', words.SYNC_TRIGGERS],
  ['InventoryChangeKind', words.INVENTORY_CHANGE_KINDS],
  ['DeadLetterStage', words.DEAD_LETTER_STAGES],
  ['ForwardingState', words.FORWARDING_STATES],
  ['EventFormat', words.EVENT_FORMATS],
])('has the words of enum %s', (name, list) => {
  expect([...list].toSorted()).toEqual(enums.get(name)?.toSorted());
});
