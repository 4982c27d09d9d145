import { type Kysely, type RawBuilder, sql } from 'kysely';
import { fault } from '../schema/errors.ts';
import { type HealthCounts, type PlainCounts, withWorst } from './health-counts.ts';
import type { DeviceParent, InventoryVendor } from './inventory-store-scope.ts';
import type { Condition } from './sql-conditions.ts';
import type { Tables } from './tables.ts';

export type DeviceFacetField = 'TYPE' | 'VENDOR' | 'STATE' | 'SITE' | 'MODEL' | 'FIRMWARE' | 'TAG';

/** A page for people: more values than this are read by nobody. */
export const MAX_FACET_BUCKETS = 100;
/** Fields that one aggregate combines. */
const MAX_GROUP_FIELDS = 3;
/** Rows of one aggregate: models times firmware versions of a large fleet stay below, free combinations do not. */
const MAX_AGGREGATE_ROWS = 5_000;

export interface FacetBucket {
  readonly key: string;
  readonly label: string;
  readonly count: number;
}

export interface AggregateRow {
  readonly keys: readonly { readonly field: DeviceFacetField; readonly value: string }[];
  readonly count: number;
  readonly health: HealthCounts;
}

/** A state that is not of our words counts as UNKNOWN, so that the four always add up. */
const STATE_COUNTS = sql`
  count(*) as "total",
  cast(coalesce(sum(case when devices.state = 'ONLINE' then 1 else 0 end), 0) as bigint) as "online",
  cast(coalesce(sum(case when devices.state = 'OFFLINE' then 1 else 0 end), 0) as bigint) as "offline",
  cast(coalesce(sum(case when devices.state = 'DEGRADED' then 1 else 0 end), 0) as bigint) as "degraded",
  cast(coalesce(sum(case when devices.state in ('ONLINE', 'OFFLINE', 'DEGRADED') then 0 else 1 end), 0) as bigint) as "unknown",
  cast(coalesce(sum(case when devices.flapping <> 0 then 1 else 0 end), 0) as bigint) as "flapping",
  cast(coalesce(sum(case when devices.maintenance_id is not null then 1 else 0 end), 0) as bigint) as "inMaintenance",
  cast(coalesce(sum(case when devices.suppressed_by is not null then 1 else 0 end), 0) as bigint) as "suppressed"`;

/** Whose list a count belongs to; null for one list alone, whose results have the key ''. */
export type ParentColumn = DeviceParent['column'] | null;

export interface Counter {
  /** By parent; parents without devices are absent. */
  totals(matching: Condition, parent: ParentColumn): Promise<ReadonlyMap<string, number>>;
  /** By parent. @throws GraphQLError BAD_USER_INPUT for a bad limit */
  facets(
    matching: Condition,
    parent: ParentColumn,
    field: DeviceFacetField,
    limit: number,
  ): Promise<ReadonlyMap<string, readonly FacetBucket[]>>;
  /** @throws GraphQLError BAD_USER_INPUT for bad fields or too many rows */
  aggregate(matching: Condition, fields: readonly DeviceFacetField[]): Promise<readonly AggregateRow[]>;
}

/** One list alone needs no groups; a count of nothing is then a row with 0. */
function byParent(parent: ParentColumn): RawBuilder<unknown> {
  return parent === null ? sql`` : sql`group by 1`;
}

function parentValue(parent: ParentColumn): RawBuilder<string> {
  return parent === null ? sql<string>`''` : sql<string>`${sql.ref(`devices.${parent}`)}`;
}

/** `Camera` for CAMERA. */
function inWords(value: string): string {
  return value.charAt(0) + value.slice(1).toLowerCase().replaceAll('_', ' ');
}

export function createCounter(db: Kysely<Tables>, vendors: readonly InventoryVendor[]): Counter {
  // Vendors that are not of this deployment share one key, so that the counts of OTHER are one row.
  const vendorValue =
    vendors.length === 0
      ? sql`'OTHER'`
      : sql`case devices.vendor ${sql.join(
          vendors.map(({ slug, enumValue }) => sql`when ${sql.lit(slug)} then ${sql.lit(enumValue)}`),
          sql` `,
        )} else 'OTHER' end`;
  const expressions: Readonly<Record<DeviceFacetField, RawBuilder<unknown>>> = {
    TYPE: sql`devices.type`,
    VENDOR: vendorValue,
    STATE: sql`devices.state`,
    SITE: sql`coalesce(devices.site_id, '')`,
    MODEL: sql`coalesce(devices.model, '')`,
    FIRMWARE: sql`coalesce(devices.firmware, '')`,
    TAG: sql`coalesce(device_tags.tag, '')`,
  };

  /** A device counts once per label, and once under the empty key when it has none. */
  function source(fields: readonly DeviceFacetField[]): RawBuilder<unknown> {
    return fields.includes('TAG')
      ? sql`devices left join device_tags on device_tags.device_id = devices.id`
      : sql`devices`;
  }

  /** The names of sites whose devices the principal was just shown. */
  async function siteNames(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (ids.length === 0) return new Map();
    const rows = await db.selectFrom('sites').select(['id', 'name']).where('id', 'in', ids).execute();
    return new Map(rows.map(({ id, name }) => [id, name]));
  }

  async function labels(field: DeviceFacetField, keys: readonly string[]): Promise<(key: string) => string> {
    const named = (names: ReadonlyMap<string, string>) => (key: string) => names.get(key) ?? key;
    switch (field) {
      case 'SITE':
        return named(await siteNames(keys.filter((key) => key !== '')));
      case 'VENDOR':
        return named(
          new Map([...vendors.map(({ enumValue, name }) => [enumValue, name] as const), ['OTHER', 'Other']]),
        );
      case 'TYPE':
      case 'STATE':
        return inWords;
      case 'MODEL':
      case 'FIRMWARE':
      case 'TAG':
        return (key) => key;
    }
  }

  return {
    async totals(matching, parent) {
      const { rows } = await sql<{ parent: string; total: number }>`
        select ${parentValue(parent)} as "parent", count(*) as "total"
        from devices where ${matching} ${byParent(parent)}`.execute(db);
      return new Map(rows.map((row) => [row.parent, row.total]));
    },

    async facets(matching, parent, field, limit) {
      if (limit < 1 || limit > MAX_FACET_BUCKETS) {
        throw fault('BAD_USER_INPUT', `limit must be 1 to ${MAX_FACET_BUCKETS}.`);
      }
      const counts = sql`
        select ${parentValue(parent)} as "parent", ${expressions[field]} as "key", count(*) as "total"
        from ${source([field])} where ${matching} group by 1, 2`;
      const { rows } = await sql<{ parent: string; key: string; total: number }>`
        select * from (
          select counts.*, row_number() over (partition by "parent" order by "total" desc, "key") as "place"
          from (${counts}) as counts
        ) as placed where "place" <= ${limit} order by "place"`.execute(db);
      const label = await labels(field, [...new Set(rows.map(({ key }) => key))]);
      const groups = Map.groupBy(rows, (row) => row.parent);
      return new Map(
        groups
          .entries()
          .map(([id, buckets]) => [
            id,
            buckets.map(({ key, total }) => ({ key, label: key === '' ? 'None' : label(key), count: total })),
          ]),
      );
    },

    async aggregate(matching, fields) {
      if (fields.length < 1 || fields.length > MAX_GROUP_FIELDS || new Set(fields).size !== fields.length) {
        throw fault('BAD_USER_INPUT', `groupBy takes 1 to ${MAX_GROUP_FIELDS} different fields.`);
      }
      const keys = fields.map((field, index) => sql`${expressions[field]} as ${sql.id(`key${index}`)}`);
      const places = sql.raw(fields.map((_, index) => index + 1).join(', '));
      const { rows } = await sql<PlainCounts & { [key: `key${number}`]: string }>`
        select ${sql.join(keys)}, ${STATE_COUNTS} from ${source(fields)} where ${matching}
        group by ${places} order by "total" desc, ${places} limit ${MAX_AGGREGATE_ROWS + 1}`.execute(db);
      if (rows.length > MAX_AGGREGATE_ROWS) {
        throw fault('BAD_USER_INPUT', `More than ${MAX_AGGREGATE_ROWS} rows: narrow the filter or use fewer fields.`);
      }
      return rows.map((row) => ({
        keys: fields.map((field, index) => ({ field, value: row[`key${index}`] ?? '' })),
        count: row.total,
        health: withWorst(row),
      }));
    },
  };
}
