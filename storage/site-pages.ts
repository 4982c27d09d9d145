import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import type { DeviceState } from '../schema/words.ts';
import { badCursor, type Page, type PageArgs } from './connection.ts';
import type { CursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import type { SiteRow } from './rows.ts';
import { all, type Condition, isOneOf, NEVER } from './sql-conditions.ts';

// Sites by how their devices are, from the counts that are kept: no device is looked at.

const COUNTS = {
  ONLINE: 'online',
  OFFLINE: 'offline',
  DEGRADED: 'degraded',
  UNKNOWN: 'unknown',
} as const satisfies Record<DeviceState, string>;

/** Rows of `sites` with at least one device in one of these states; an empty list matches nothing. */
export function hasDeviceIn(states: readonly DeviceState[]): Condition {
  if (states.length === 0) return NEVER;
  const columns = [...new Set(states)].map((state) => sql`coalesce(sum(health_rows.${sql.id(COUNTS[state])}), 0)`);
  return sql<SqlBool>`(select ${sql.join(columns, sql` + `)} from health_rows where health_rows.site_id = sites.id) > 0`;
}

type OrderedSite = SiteRow & { readonly offline_count: number };

const Place = z.tuple([z.number(), z.string(), z.string()]);

/**
 * The same page of each org's sites by how many of their devices are offline, then by name, in one statement.
 *
 * @param matching condition on `sites`: what the principal may see, of these orgs, which filter
 * @throws GraphQLError BAD_CURSOR
 */
export async function readSitesByOffline(
  db: Database,
  cursors: CursorCodec,
  matching: Condition,
  orgIds: readonly string[],
  direction: 'ASC' | 'DESC',
  { first, after }: PageArgs,
): Promise<ReadonlyMap<string, Page<SiteRow>>> {
  const kind = `sites OFFLINE_COUNT ${direction}`;
  const count = sql`coalesce(counted.offline_count, 0)`;
  const conditions = [matching];
  if (after !== null) {
    const place = Place.safeParse(cursors.decode(kind, after));
    if (!place.success) throw badCursor();
    const [last, name, id] = place.data;
    const beyond = direction === 'ASC' ? sql`>` : sql`<`;
    conditions.push(
      sql<SqlBool>`(${count} ${beyond} ${last} or (${count} = ${last} and (sites.name, sites.id) > (${name}, ${id})))`,
    );
  }
  const order = sql`${count} ${sql.raw(direction === 'ASC' ? 'asc' : 'desc')}, sites.name, sites.id`;
  const { rows } = await sql<OrderedSite>`
    select * from (
      select sites.*, ${count} as offline_count, row_number() over (partition by sites.org_id order by ${order}) as place
      from sites left join (
        select site_id, cast(sum(offline) as bigint) as offline_count from health_rows
        where ${isOneOf('health_rows.org_id', orgIds)} group by site_id
      ) as counted on counted.site_id = sites.id
      where ${all(conditions)}
    ) as placed where place <= ${first + 1} order by place`.execute(db.read);
  return new Map(
    Map.groupBy(rows, (row) => row.org_id)
      .entries()
      .map(([orgId, sites]) => {
        const counts = new Map(sites.map((site) => [site.id, site.offline_count]));
        const page: Page<SiteRow> = {
          rows: sites.slice(0, first),
          hasNextPage: sites.length > first,
          hasPreviousPage: after !== null,
          cursorOf: ({ id, name }) => cursors.encode(kind, [counts.get(id) ?? 0, name, id]),
        };
        return [orgId, page] as const;
      }),
  );
}
