import { type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { fault } from '../schema/errors.ts';
import type { AccessScope } from '../schema/principal.ts';
import { type DeviceType, type EventFamily, SEVERITIES, type Severity } from '../schema/words.ts';
import { visibleAtSite } from './access-conditions.ts';
import type { Database } from './database.ts';
import type { EventRow } from './rows.ts';
import {
  all,
  any,
  type Condition,
  equals,
  type InstantFilter,
  isOneOf,
  matchesInstant,
  NEVER,
} from './sql-conditions.ts';

// Which events, said twice: in SQL for pages of the log, and as a predicate for rows that are in memory already. A
// property test holds them equal.

/**
 * Members are combined with AND; an absent or null member matches everything, an empty list nothing. Only what happened
 * in planned work or has its cause elsewhere is hidden unless it is asked for: it wakes nobody.
 */
export interface EventFilter {
  readonly orgId?: string | null | undefined;
  readonly siteIds?: readonly string[] | null | undefined;
  readonly deviceIds?: readonly string[] | null | undefined;
  /** What the event's device is; events of no device match none. */
  readonly deviceTypes?: readonly DeviceType[] | null | undefined;
  readonly integrationIds?: readonly string[] | null | undefined;
  readonly families?: readonly EventFamily[] | null | undefined;
  /** Exact names; a trailing `.*` matches everything below. */
  readonly types?: readonly string[] | null | undefined;
  readonly minSeverity?: Severity | null | undefined;
  readonly actors?: readonly string[] | null | undefined;
  readonly occurredAt?: InstantFilter | null | undefined;
  /** Default false. */
  readonly includeMaintenance?: boolean | null | undefined;
  /** Default false. */
  readonly includeSuppressed?: boolean | null | undefined;
}

/** Every event: for those who fold the log instead of showing it. */
export const UNFILTERED: EventFilter = { includeMaintenance: true, includeSuppressed: true };

/** What the predicate looks at. */
export type FilteredEvent = Pick<
  EventRow,
  | 'org_id'
  | 'site_id'
  | 'device_id'
  | 'integration_id'
  | 'family'
  | 'type'
  | 'severity'
  | 'occurred_at'
  | 'details'
  | 'changed'
  | 'in_maintenance'
  | 'suppressed'
  | 'device_type'
>;

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}

/** Listed values of one member: no screen shows more, and each is a parameter of the statement. */
const MAX_VALUES = 500;

/** @throws GraphQLError BAD_USER_INPUT for a member that lists too many values */
export function parseEventFilter(filter: EventFilter | null | undefined): EventFilter {
  for (const [member, value] of Object.entries(filter ?? {})) {
    if (Array.isArray(value) && value.length > MAX_VALUES) {
      throw fault('BAD_USER_INPUT', `filter.${member} lists at most ${MAX_VALUES} values.`, { limit: MAX_VALUES });
    }
  }
  return filter ?? {};
}

/** The beginning that a pattern such as `access.*` stands for; null when it is an exact name. */
function prefixOf(pattern: string): string | null {
  return pattern.endsWith('.*') ? pattern.slice(0, -1) : null;
}

function hasType(patterns: readonly string[]): Condition {
  const exact = patterns.filter((pattern) => prefixOf(pattern) === null);
  const prefixes = patterns.flatMap((pattern) => prefixOf(pattern) ?? []);
  return any([
    isOneOf('events.type', exact),
    // Not LIKE: whether that regards case differs between the engines.
    ...prefixes
      .filter((prefix) => !prefix.includes('\0'))
      .map((prefix) => sql<SqlBool>`substr(events.type, 1, ${Array.from(prefix).length}) = ${prefix}`),
  ]);
}

/** Events of before there was the column are told apart by what their device is now; the stream has none of them. */
function isOfDevice(types: readonly DeviceType[]): Condition {
  if (types.length === 0) return NEVER;
  const type = sql`coalesce(events.device_type, (select typed.type from devices as typed where typed.id = events.device_id))`;
  return sql<SqlBool>`${type} in (${sql.join(types)})`;
}

function hasActor(engine: Database['engine'], kinds: readonly string[]): Condition {
  if (kinds.length === 0) return NEVER;
  return engine === 'sqlite'
    ? sql<SqlBool>`exists (select 1 from json_each(events.details, '$.actors') as actor where ${jsonKind(engine)} in (${sql.join(kinds)}))`
    : sql<SqlBool>`exists (select 1 from json_array_elements(coalesce(events.details::json -> 'actors', '[]'::json)) as actor where ${jsonKind(engine)} in (${sql.join(kinds)}))`;
}

function jsonKind(engine: Database['engine']) {
  return engine === 'sqlite' ? sql`json_extract(actor.value, '$.kind')` : sql`(actor.value ->> 'kind')`;
}

/** For a query of `events`. */
export function matchesEventFilter(engine: Database['engine'], filter: EventFilter): Condition {
  const conditions: Condition[] = [];
  if (isGiven(filter.orgId)) conditions.push(equals('events.org_id', filter.orgId));
  if (isGiven(filter.siteIds)) conditions.push(isOneOf('events.site_id', filter.siteIds));
  if (isGiven(filter.deviceIds)) conditions.push(isOneOf('events.device_id', filter.deviceIds));
  if (isGiven(filter.deviceTypes)) conditions.push(isOfDevice(filter.deviceTypes));
  if (isGiven(filter.integrationIds)) conditions.push(isOneOf('events.integration_id', filter.integrationIds));
  if (isGiven(filter.families)) conditions.push(isOneOf('events.family', filter.families));
  if (isGiven(filter.types)) conditions.push(hasType(filter.types));
  if (isGiven(filter.minSeverity)) {
    conditions.push(sql<SqlBool>`events.severity >= ${SEVERITIES.indexOf(filter.minSeverity)}`);
  }
  if (isGiven(filter.actors)) conditions.push(hasActor(engine, filter.actors));
  if (isGiven(filter.occurredAt)) conditions.push(matchesInstant('events.occurred_at', filter.occurredAt));
  if (filter.includeMaintenance !== true) conditions.push(sql<SqlBool>`events.in_maintenance = 0`);
  if (filter.includeSuppressed !== true) conditions.push(sql<SqlBool>`events.suppressed = 0`);
  return all(conditions);
}

/** For a query of `events`: those that the scope may see. Events of no site are for principals that see the whole org. */
export function visibleEvent(access: AccessScope): Condition {
  return visibleAtSite(access, 'events');
}

const WithActors = z.object({ actors: z.array(z.object({ kind: z.string() })).optional() });

function actorsOf(details: string): readonly string[] {
  const parsed = WithActors.safeParse(JSON.parse(details));
  return parsed.success ? (parsed.data.actors ?? []).map(({ kind }) => kind) : [];
}

/** `matchesEventFilter` and `visibleEvent` for rows in memory: build once, ask for each row. */
export function eventPredicate(access: AccessScope, filter: EventFilter): (event: FilteredEvent) => boolean {
  const orgs = access.orgIds === 'all' ? null : new Set(access.orgIds);
  const visibleSites = access.siteIds === null ? null : new Set(access.siteIds);
  const sites = setOf(filter.siteIds);
  const devices = setOf(filter.deviceIds);
  const deviceTypes = setOf<string>(filter.deviceTypes);
  const integrations = setOf(filter.integrationIds);
  const families = setOf<string>(filter.families);
  const actors = setOf(filter.actors);
  const exact = !isGiven(filter.types) ? null : new Set(filter.types.filter((pattern) => prefixOf(pattern) === null));
  const prefixes = (filter.types ?? []).flatMap((pattern) => prefixOf(pattern) ?? []);
  const minSeverity = !isGiven(filter.minSeverity) ? 0 : SEVERITIES.indexOf(filter.minSeverity);
  const { gte, lt } = filter.occurredAt ?? {};

  return (event) =>
    (orgs === null || orgs.has(event.org_id)) &&
    (visibleSites === null || (event.site_id !== null && visibleSites.has(event.site_id))) &&
    (!isGiven(filter.orgId) || event.org_id === filter.orgId) &&
    (sites === null || (event.site_id !== null && sites.has(event.site_id))) &&
    (devices === null || (event.device_id !== null && devices.has(event.device_id))) &&
    (deviceTypes === null || (isGiven(event.device_type) && deviceTypes.has(event.device_type))) &&
    (integrations === null || integrations.has(event.integration_id)) &&
    (families === null || families.has(event.family)) &&
    (filter.includeMaintenance === true || event.in_maintenance === 0) &&
    (filter.includeSuppressed === true || event.suppressed === 0) &&
    event.severity >= minSeverity &&
    (!isGiven(gte) || event.occurred_at >= gte) &&
    (!isGiven(lt) || event.occurred_at < lt) &&
    (exact === null || exact.has(event.type) || prefixes.some((prefix) => event.type.startsWith(prefix))) &&
    (actors === null || actorsOf(event.details).some((kind) => actors.has(kind)));
}

function setOf<T>(values: readonly T[] | null | undefined): ReadonlySet<T> | null {
  return isGiven(values) ? new Set(values) : null;
}
