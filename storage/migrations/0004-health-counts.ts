import type { SchemaStep } from './schema-step.ts';

// Counts of present devices by org and site, kept by the database itself: no writer of devices can forget them.
//
// SQLite has one writer at a time, so its triggers add to `health_counts` directly. On PostgreSQL two transactions that
// hold counts of the same sites would wait for each other in a circle; there the triggers append to `health_deltas`,
// which nobody waits for. Sums over the view `health_rows` are right at any moment; deltas are folded in later.

const COUNTED = ['online', 'offline', 'degraded', 'unknown', 'flapping', 'in_maintenance', 'suppressed'] as const;
const COLUMNS = ['total', ...COUNTED] as const;

/** 1 or 0 for one row of devices. A state that is not of our words counts as unknown: the four always add up. */
function ones(row: string): Record<(typeof COUNTED)[number], string> {
  const one = (condition: string): string => `case when ${condition} then 1 else 0 end`;
  return {
    online: one(`${row}.state = 'ONLINE'`),
    offline: one(`${row}.state = 'OFFLINE'`),
    degraded: one(`${row}.state = 'DEGRADED'`),
    // Not a list: SQLite would build an index of its three words for each row.
    unknown: one(`${row}.state <> 'ONLINE' and ${row}.state <> 'OFFLINE' and ${row}.state <> 'DEGRADED'`),
    flapping: one(`${row}.flapping <> 0`),
    in_maintenance: one(`${row}.maintenance_id is not null`),
    suppressed: one(`${row}.suppressed_by is not null`),
  };
}

const NAMES = COLUMNS.map((name) => `"${name}"`).join(', ');
const KEY_AND_NAMES = `"org_id", "site_id", ${NAMES}`;

/** Values of one device in the order of KEY_AND_NAMES. */
function valuesOf(row: string, sign: '' | '-'): string {
  const each = ones(row);
  const values = [`1`, ...COUNTED.map((name) => `(${each[name]})`)].map((value) => `${sign}${value}`);
  return [`${row}.org_id`, `coalesce(${row}.site_id, '')`, ...values].join(', ');
}

/** Sums by org and site over a table of devices. */
function sumsOf(table: string, sign: '' | '-'): string {
  const each = ones(table);
  const sums = ['count(*)', ...COUNTED.map((name) => `cast(sum(${each[name]}) as bigint)`)];
  return `select ${table}.org_id, coalesce(${table}.site_id, ''), ${sums.map((sum) => sign + sum).join(', ')}
    from ${table} where ${table}.removed_at is null group by 1, 2`;
}

const PLACE = ['org_id', 'site_id', 'removed_at'] as const;
const STATE = ['state', 'flapping', 'maintenance_id', 'suppressed_by'] as const;

function differ(columns: readonly string[], differs: string): string {
  return `(${columns.map((name) => `old.${name} ${differs} new.${name}`).join(' or ')})`;
}

function onSqlite(): readonly string[] {
  const add = (row: 'old' | 'new', sign: '' | '-'): string => `
    insert into "health_counts" (${KEY_AND_NAMES}) values (${valuesOf(row, sign)})
      on conflict ("org_id", "site_id") do update set
        ${COLUMNS.map((name) => `"${name}" = "${name}" + excluded."${name}"`).join(', ')};`;
  const [before, after] = [ones('old'), ones('new')];
  const ofNew = `"org_id" = new.org_id and "site_id" = coalesce(new.site_id, '')`;
  const more = ['"total" = "total" + 1', ...COUNTED.map((name) => `"${name}" = "${name}" + (${after[name]})`)];
  const steps = COUNTED.map((name) => `"${name}" = "${name}" + (${after[name]}) - (${before[name]})`);
  const isElsewhere = differ(PLACE, 'is not');
  const onUpdate = `after update of ${[...PLACE, ...STATE].map((name) => `"${name}"`).join(', ')} on "devices"`;
  // Conditions and not queries within: half the cost for each of the thousands of rows of a first sync.
  return [
    // Apart, and not `add`: all but a few of the twenty thousand rows of a first sync find their site's counts.
    `create trigger "health_counts_first" before insert on "devices"
      when new.removed_at is null and not exists (select 1 from "health_counts" where ${ofNew}) begin
        insert into "health_counts" (${KEY_AND_NAMES})
          values (new.org_id, coalesce(new.site_id, ''), ${COLUMNS.map(() => '0').join(', ')});
      end`,
    `create trigger "health_counts_insert" after insert on "devices" when new.removed_at is null begin
      update "health_counts" set ${more.join(', ')} where ${ofNew};
    end`,
    `create trigger "health_counts_delete" after delete on "devices" when old.removed_at is null begin ${add('old', '-')} end`,
    `create trigger "health_counts_leave" ${onUpdate}
      when ${isElsewhere} and old.removed_at is null begin ${add('old', '-')} end`,
    `create trigger "health_counts_enter" ${onUpdate}
      when ${isElsewhere} and new.removed_at is null begin ${add('new', '')} end`,
    `create trigger "health_counts_update" ${onUpdate}
      when ${differ(STATE, 'is not')} and not ${isElsewhere} and new.removed_at is null begin
        update "health_counts" set ${steps.join(', ')} where ${ofNew};
      end`,
  ];
}

function onPostgres(): readonly string[] {
  const append = (source: string): string => `insert into "health_deltas" (${KEY_AND_NAMES}) ${source};`;
  // The path is kept with the function: whoever writes devices with another one has the same counts.
  const head = (name: string): string =>
    `create function "${name}"() returns trigger language plpgsql set search_path from current as $$`;
  return [
    `${head('health_counts_insert')} begin ${append(sumsOf('fresh', ''))} return null; end $$`,
    `${head('health_counts_delete')} begin ${append(sumsOf('gone', '-'))} return null; end $$`,
    `${head('health_counts_update')} begin
      if old.removed_at is null then ${append(`values (${valuesOf('old', '-')})`)} end if;
      if new.removed_at is null then ${append(`values (${valuesOf('new', '')})`)} end if;
      return null; end $$`,
    `create trigger "health_counts_insert" after insert on "devices" referencing new table as fresh
      for each statement execute function "health_counts_insert"()`,
    `create trigger "health_counts_delete" after delete on "devices" referencing old table as gone
      for each statement execute function "health_counts_delete"()`,
    // By row, with a condition: most updates of a device change nothing that is counted, and cost nothing here.
    `create trigger "health_counts_update" after update on "devices"
      for each row when (${differ([...PLACE, ...STATE], 'is distinct from')}) execute function "health_counts_update"()`,
  ];
}

/** Keeps `health_counts` with every write of devices, and counts those that are there. */
export const healthCounts: SchemaStep = (t) => [
  // Lists by severity go on by id: with the name in between each page was a sort of all devices of a state.
  `drop index if exists "devices_by_org_id_state_rank_name_id"`,
  `create index if not exists "devices_by_org_id_state_rank_id" on "devices" ("org_id", "state_rank", "id")`,
  `create index "health_counts_by_site_id" on "health_counts" ("site_id")`,
  `create table "health_deltas" (
    "id" ${t.generatedId},
    "org_id" ${t.text} not null,
    "site_id" ${t.text} not null,
    ${COLUMNS.map((name) => `"${name}" ${t.int} not null`).join(',\n    ')}
  ) ${t.table}`,
  `create view "health_rows" as
    select ${KEY_AND_NAMES} from "health_counts" union all select ${KEY_AND_NAMES} from "health_deltas"`,
  ...(t.engine === 'sqlite' ? onSqlite() : onPostgres()),
  `delete from "health_counts"`,
  `insert into "health_counts" (${KEY_AND_NAMES}) ${sumsOf('devices', '')}`,
];
