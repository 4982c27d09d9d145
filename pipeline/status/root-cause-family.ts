import { sql } from 'kysely';
import type { Database, Tx } from '../../storage/database.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import { inChunks } from '../process/chunks.ts';
import type { IncidentRow } from './incidents.ts';
import { MAX_DEPTH, type Member, REOPEN_MS } from './root-cause.ts';

/** Devices behind those that changed which are judged at once; what is beyond is judged when it changes itself. */
export const MAX_FAMILY = 5_000;

/** Incidents that ended lately, of some hundred devices. */
const MAX_ENDED = 500;

const COLUMNS = [
  'id',
  'native_id',
  'integration_id',
  'name',
  'parent_id',
  'site_id',
  'org_id',
  'state',
  'state_since',
  'last_seen_at',
  'flapping',
  'suppressed_by',
  'incident_id',
] as const;

export type FamilyRow = Pick<DeviceRow, (typeof COLUMNS)[number]>;

export interface Family {
  readonly rows: ReadonlyMap<string, FamilyRow>;
  readonly members: ReadonlyMap<string, Member>;
  /** Devices that changed, and all behind them. */
  readonly scope: ReadonlySet<string>;
}

function memberOf(row: FamilyRow): Member {
  return {
    id: row.id,
    parentId: row.parent_id,
    siteId: row.site_id,
    state: row.state,
    since: row.state_since,
    lastSeenAt: row.last_seen_at,
    isFlapping: row.flapping === 1,
    suppressedBy: row.suppressed_by,
    incidentId: row.incident_id,
  };
}

/** Reads devices that changed with everything behind and above them. @param ids of one integration */
export async function readFamily(tx: Tx, ids: readonly string[]): Promise<Family> {
  const rows = new Map<string, FamilyRow>();

  async function read(column: 'id' | 'parent_id', wanted: readonly string[]): Promise<readonly FamilyRow[]> {
    const found: FamilyRow[] = [];
    for (const chunk of inChunks(wanted)) {
      const part = await tx
        .selectFrom('devices')
        .select(COLUMNS)
        .where(column, 'in', chunk)
        .where('removed_at', 'is', null)
        .limit(MAX_FAMILY)
        .execute();
      found.push(...part.filter(({ id }) => !rows.has(id)));
      for (const row of part) rows.set(row.id, row);
    }
    return found;
  }

  let level = await read('id', ids);
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0 && rows.size < MAX_FAMILY; depth += 1) {
    level = await read(
      'parent_id',
      level.map(({ id }) => id),
    );
  }
  const scope = new Set(rows.keys());
  let above: readonly FamilyRow[] = [...rows.values()];
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    const missing = new Set(above.flatMap(({ parent_id: id }) => (id === null || rows.has(id) ? [] : [id])));
    if (missing.size === 0) break;
    above = await read('id', [...missing]);
  }
  return { rows, members: new Map([...rows.values()].map((row) => [row.id, memberOf(row)])), scope };
}

/**
 * Whether there is anything that these devices' failures could follow from, or that could follow from them: a device above
 * or behind one of them, an explanation that one has, or an open incident of one, its site or the integration. Most
 * changes have none, and are done with after this.
 */
export async function hasFamily(
  tx: Tx,
  engine: Database['engine'],
  integrationId: string,
  ids: readonly string[],
): Promise<boolean> {
  const list = JSON.stringify(ids);
  const wanted =
    engine === 'sqlite'
      ? sql`json_each(${list}) as wanted`
      : sql`json_array_elements_text(cast(${list} as json)) as wanted (value)`;
  const { rows } = await sql<{ found: number }>`
    select 1 as found from incidents where root_id = ${integrationId} and closed_at is null
    union all
    select 1 from ${wanted} cross join devices where devices.parent_id = wanted.value
      and devices.removed_at is null
    union all
    select 1 from ${wanted} cross join devices where devices.id = wanted.value
      and devices.removed_at is null and (devices.parent_id is not null or devices.suppressed_by is not null
        or devices.incident_id is not null or exists (select 1 from incidents
          where incidents.root_id in (devices.id, devices.site_id) and incidents.closed_at is null))
    limit 1`.execute(tx);
  return rows.length > 0;
}

/** The incidents that can matter to a family: those it is in, the open ones around it, and those that ended lately. */
export async function readIncidents(
  tx: Tx,
  { rows }: Pick<Family, 'rows'>,
  integrationId: string,
): Promise<readonly IncidentRow[]> {
  const all = [...rows.values()];
  const referenced = new Set(all.flatMap(({ incident_id: id }) => id ?? []));
  const parents = new Set(all.flatMap(({ parent_id: id }) => id ?? []));
  const failed = all.filter(({ id, state }) => parents.has(id) && state !== 'ONLINE');
  const sites = new Set(all.flatMap(({ site_id: id }) => id ?? []));
  const found = new Map<string, IncidentRow>();
  const keep = (part: readonly IncidentRow[]): void => {
    for (const row of part) found.set(row.id, row);
  };
  for (const chunk of inChunks([...referenced]))
    keep(await tx.selectFrom('incidents').selectAll().where('id', 'in', chunk).execute());
  for (const chunk of inChunks([integrationId, ...sites, ...failed.map(({ id }) => id)])) {
    keep(
      await tx
        .selectFrom('incidents')
        .selectAll()
        .where('root_id', 'in', chunk)
        .where('closed_at', 'is', null)
        .execute(),
    );
  }
  if (failed.length === 0) return [...found.values()];
  // One that falls again soon goes on with its incident.
  const lately = Math.min(...failed.map(({ state_since: since }) => since)) - REOPEN_MS;
  for (const chunk of inChunks(failed.map(({ id }) => id))) {
    keep(
      await tx
        .selectFrom('incidents')
        .selectAll()
        .where('root_id', 'in', chunk)
        .where('closed_at', '>=', lately)
        .orderBy('closed_at', 'desc')
        .limit(MAX_ENDED)
        .execute(),
    );
  }
  return [...found.values()];
}
