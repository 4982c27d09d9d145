import type { AccessScope } from '../schema/principal.ts';
import {
  COVERAGE_MODES,
  type CoverageMode,
  DEVICE_TYPES,
  type DeviceCapability,
  type DeviceType,
  type EventFamily,
  type IngestMode,
} from '../schema/words.ts';
import { visibleAtSite } from './access-conditions.ts';
import type { Database } from './database.ts';
import type { InventoryVendor } from './inventory-store-scope.ts';
import { isOneOf } from './sql-conditions.ts';

/** How many devices of one kind at one site would tell us events of one family, and how. */
export interface CoverageRow {
  readonly siteId: string;
  readonly type: DeviceType;
  readonly family: EventFamily;
  readonly mode: CoverageMode;
  readonly devices: number;
}

/** The families that devices speak of, with the capability that says so. */
const EMITS = [
  ['HEALTH', 'EMITS_HEALTH'],
  ['ALARM', 'EMITS_ALARM'],
  ['ACCESS', 'EMITS_ACCESS'],
  ['VIDEO', 'EMITS_VIDEO'],
  ['SENSOR', 'EMITS_SENSOR'],
] as const satisfies readonly (readonly [EventFamily, DeviceCapability])[];

/** Devices that hear and say the same: what the mode follows from. */
export interface CoverageFacts {
  /** Undefined: the vendor is not part of this deployment. */
  readonly ingest: InventoryVendor['ingest'] | undefined;
  readonly isEnabled: boolean;
  /** Of the integration, now. */
  readonly ingestMode: string;
  readonly capabilities: readonly string[];
}

const POLL_ONLY: IngestMode = 'POLL_ONLY';

/**
 * The one rule. A fallback while a platform is silent does not change it: what is told is what the integration can do.
 * Where events cannot be asked for, only health has a second way: a listing says how devices are, and not what happened at
 * them. Pure.
 */
export function coverageOf(facts: CoverageFacts, family: EventFamily, capability: DeviceCapability): CoverageMode {
  const { ingest, isEnabled, ingestMode, capabilities } = facts;
  if (ingest === undefined || !isEnabled) return 'NONE';
  const pushes = (ingest.webhooks === true || ingest.listens === true) && ingestMode !== POLL_ONLY;
  const isTold = capabilities.includes(capability);
  if (pushes && isTold) return 'PUSH';
  // Its events are asked for, of whatever family.
  if (ingest.listensByAsking === true && isTold) return 'POLL_ONLY';
  return family === 'HEALTH' && ingest.polls === true ? 'POLL_ONLY' : 'NONE';
}

/** In the order of site, kind, family, and best mode first. */
export async function readCoverage(
  db: Pick<Database, 'read'>,
  vendors: readonly InventoryVendor[],
  access: AccessScope,
  siteIds: readonly string[],
): Promise<readonly CoverageRow[]> {
  const groups = await db.read
    .selectFrom('devices')
    .innerJoin('integrations', 'integrations.id', 'devices.integration_id')
    .select(['devices.site_id', 'devices.type', 'devices.vendor', 'devices.capabilities'])
    .select(['integrations.enabled', 'integrations.ingest_mode'])
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where(visibleAtSite(access, 'devices'))
    .where(isOneOf('devices.site_id', siteIds))
    .where('devices.removed_at', 'is', null)
    .groupBy(['devices.site_id', 'devices.type', 'devices.vendor', 'devices.capabilities'])
    .groupBy(['integrations.enabled', 'integrations.ingest_mode'])
    .execute();

  const counts = new Map<string, CoverageRow>();
  for (const group of groups) {
    const type = DEVICE_TYPES.find((known) => known === group.type) ?? 'OTHER';
    const facts: CoverageFacts = {
      ingest: vendors.find(({ slug }) => slug === group.vendor)?.ingest,
      isEnabled: group.enabled === 1,
      ingestMode: group.ingest_mode,
      capabilities: listOf(group.capabilities),
    };
    for (const [family, capability] of EMITS) {
      const mode = coverageOf(facts, family, capability);
      const siteId = group.site_id ?? '';
      const key = [siteId, type, EMITS.findIndex(([each]) => each === family), COVERAGE_MODES.indexOf(mode)].join(' ');
      const devices = (counts.get(key)?.devices ?? 0) + Number(group.count);
      counts.set(key, { siteId, type, family, mode, devices });
    }
  }
  return [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

function listOf(json: string): readonly string[] {
  const value: unknown = JSON.parse(json);
  return Array.isArray(value) ? value.map(String) : [];
}
