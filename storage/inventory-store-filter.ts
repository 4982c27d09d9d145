import { type SqlBool, sql } from 'kysely';
import { fault } from '../schema/errors.ts';
import { normalizeMac } from '../schema/scalars.ts';
import type { Database } from './database.ts';
import {
  ALWAYS,
  all,
  any,
  type Condition,
  containsLower,
  equals,
  type InstantFilter,
  isGiven,
  isNot,
  isOneOf,
  isOneOfFolded,
  matchesInstant,
  matchesText,
  NEVER,
  type TextFilter,
} from './sql-conditions.ts';

// The API's DeviceFilter and search words as SQL, the same rows on both engines.

type Maybe<T> = T | null | undefined;

/** As the API takes it: null is absent, an empty list matches nothing. */
export interface DeviceFilter {
  readonly orgId?: Maybe<string>;
  readonly siteIds?: Maybe<readonly string[]>;
  readonly integrationIds?: Maybe<readonly string[]>;
  readonly types?: Maybe<readonly string[]>;
  /** Values of the API's Vendor enum. */
  readonly vendors?: Maybe<readonly string[]>;
  readonly states?: Maybe<readonly string[]>;
  readonly tagsAny?: Maybe<readonly string[]>;
  readonly tagsAll?: Maybe<readonly string[]>;
  readonly name?: Maybe<TextFilter>;
  readonly model?: Maybe<TextFilter>;
  readonly firmware?: Maybe<TextFilter>;
  /** Normalized. */
  readonly macAddress?: Maybe<string>;
  readonly ip?: Maybe<string>;
  readonly externalId?: Maybe<{ readonly namespace: string; readonly value: string }>;
  readonly stale?: Maybe<boolean>;
  readonly flapping?: Maybe<boolean>;
  readonly inMaintenance?: Maybe<boolean>;
  readonly endOfSupportBefore?: Maybe<number>;
  readonly updatedAt?: Maybe<InstantFilter>;
  readonly statusSince?: Maybe<InstantFilter>;
  /** Counts at the top of a filter only. */
  readonly includeRemoved?: Maybe<boolean>;
  readonly or?: Maybe<readonly DeviceFilter[]>;
  readonly not?: Maybe<DeviceFilter>;
}

/** Enough for anything a person composes; a planner's time grows with each level. */
const MAX_DEPTH = 5;
/** Filters within a filter, the top included. */
const MAX_FILTERS = 50;
/** Listed values of the whole filter: far below what one statement may bind (32,766 on SQLite). */
const MAX_VALUES = 5_000;
/** Characters of one text to look for: longer ones are no names. */
const MAX_TEXT_LENGTH = 500;
const MAX_SEARCH_LENGTH = 200;
const MAX_SEARCH_WORDS = 10;

/** What the words of a filter mean in this deployment, now. */
export interface FilterContext {
  readonly engine: Database['engine'];
  /** Slugs by value of the Vendor enum. */
  readonly slugs: ReadonlyMap<string, string>;
  /** Whether a row's status is older than its integration's interval allows. */
  readonly isStale: () => Condition;
}

interface Budget {
  filters: number;
  values: number;
}

function refuse(text: string): Error {
  return fault('BAD_USER_INPUT', text);
}

function checkTexts(filter: DeviceFilter): void {
  const texts = [filter.ip, filter.externalId?.namespace, filter.externalId?.value];
  for (const text of [filter.name, filter.model, filter.firmware]) {
    texts.push(text?.eq, text?.contains, text?.startsWith, ...(text?.in ?? []));
  }
  if (texts.some((text) => isGiven(text) && text.length > MAX_TEXT_LENGTH)) {
    throw refuse(`A text in a filter has at most ${MAX_TEXT_LENGTH} characters.`);
  }
}

function spend(filter: DeviceFilter, depth: number, budget: Budget): void {
  if (depth > MAX_DEPTH) throw refuse(`Filters nest at most ${MAX_DEPTH} deep.`);
  budget.filters -= 1;
  if (budget.filters < 0) throw refuse(`A filter has at most ${MAX_FILTERS} filters within it.`);
  for (const member of Object.values(filter)) if (Array.isArray(member)) budget.values -= member.length;
  for (const text of [filter.name, filter.model, filter.firmware]) budget.values -= text?.in?.length ?? 0;
  if (budget.values < 0) throw refuse(`A filter lists at most ${MAX_VALUES} values.`);
  checkTexts(filter);
}

/** Known vendors by their slug; OTHER is every slug that is not of this deployment. */
function matchesVendor(values: readonly string[], slugs: ReadonlyMap<string, string>): Condition {
  const known = isOneOf(
    'devices.vendor',
    values.flatMap((value) => slugs.get(value) ?? []),
  );
  return values.includes('OTHER') ? any([known, isNot(isOneOf('devices.vendor', [...slugs.values()]))]) : known;
}

function hasTag(tags: readonly string[]): Condition {
  return sql<SqlBool>`exists (select 1 from device_tags where device_tags.device_id = devices.id and ${isOneOf('device_tags.tag', tags)})`;
}

function hasMac(mac: string): Condition {
  return sql<SqlBool>`devices.id in (select device_macs.device_id from device_macs where ${equals('device_macs.mac', mac)})`;
}

function hasExternalId({ namespace, value }: { readonly namespace: string; readonly value: string }): Condition {
  return sql<SqlBool>`devices.id in (select external_ids.owner_id from external_ids where external_ids.owner_kind = 'device' and ${equals('external_ids.namespace', namespace)} and ${equals('external_ids.value', value)})`;
}

function members(filter: DeviceFilter, context: FilterContext, depth: number, budget: Budget): Condition {
  spend(filter, depth, budget);
  const { engine } = context;
  const conditions: Condition[] = [];
  const add = <T>(member: Maybe<T>, toCondition: (member: T) => Condition): void => {
    if (isGiven(member)) conditions.push(toCondition(member));
  };
  add(filter.orgId, (id) => equals('devices.org_id', id));
  add(filter.siteIds, (ids) => isOneOf('devices.site_id', ids));
  add(filter.integrationIds, (ids) => isOneOf('devices.integration_id', ids));
  add(filter.types, (types) => isOneOf('devices.type', types));
  add(filter.vendors, (values) => matchesVendor(values, context.slugs));
  add(filter.states, (states) => isOneOf('devices.state', states));
  add(filter.tagsAny, hasTag);
  add(filter.tagsAll, (tags) => (tags.length === 0 ? NEVER : all([...new Set(tags)].map((tag) => hasTag([tag])))));
  add(filter.name, (text) => matchesText(engine, 'devices.name', text));
  add(filter.model, (text) => matchesText(engine, 'devices.model', text));
  add(filter.firmware, (text) => matchesText(engine, 'devices.firmware', text));
  add(filter.macAddress, hasMac);
  add(filter.ip, (ip) => isOneOfFolded(engine, 'devices.ip', [ip]));
  add(filter.externalId, hasExternalId);
  add(filter.stale, (stale) => (stale ? context.isStale() : isNot(context.isStale())));
  add(filter.flapping, (flapping) => equals('devices.flapping', flapping ? 1 : 0));
  add(filter.inMaintenance, (isPlanned) =>
    isPlanned ? sql<SqlBool>`devices.maintenance_id is not null` : sql<SqlBool>`devices.maintenance_id is null`,
  );
  add(filter.endOfSupportBefore, (at) => matchesInstant('devices.end_of_support_at', { lt: at }));
  add(filter.updatedAt, (span) => matchesInstant('devices.updated_at', span));
  add(filter.statusSince, (span) => matchesInstant('devices.state_since', span));
  add(filter.or, (filters) => any(filters.map((each) => members(each, context, depth + 1, budget))));
  add(filter.not, (each) => isNot(members(each, context, depth + 1, budget)));
  return all(conditions);
}

/**
 * Rows of `devices` that match.
 *
 * @throws GraphQLError BAD_USER_INPUT for a filter that is nested too deep or too large
 */
export function matchesFilter(filter: Maybe<DeviceFilter>, context: FilterContext): Condition {
  const isPresent: Condition = filter?.includeRemoved === true ? ALWAYS : sql<SqlBool>`devices.removed_at is null`;
  if (!isGiven(filter)) return isPresent;
  return all([isPresent, members(filter, context, 1, { filters: MAX_FILTERS, values: MAX_VALUES })]);
}

/** Whether an answer for this filter changes by the clock alone. */
export function dependsOnClock(filter: Maybe<DeviceFilter>): boolean {
  if (!isGiven(filter)) return false;
  return isGiven(filter.stale) || (filter.or ?? []).some(dependsOnClock) || dependsOnClock(filter.not);
}

/**
 * Rows of `devices` that have every word, or the MAC address that a word (or all of them together) spells.
 *
 * @throws GraphQLError BAD_USER_INPUT for too many words
 */
export function matchesSearch(search: Maybe<string>): Condition {
  const text = search?.trim() ?? '';
  if (text === '') return ALWAYS;
  const words = text.split(/\s+/);
  if (text.length > MAX_SEARCH_LENGTH || words.length > MAX_SEARCH_WORDS) {
    throw refuse(`search takes at most ${MAX_SEARCH_WORDS} words and ${MAX_SEARCH_LENGTH} characters.`);
  }
  // `00 1b 44 11 3a b7` is one address, not six words.
  const whole = words.length > 1 ? normalizeMac(text) : null;
  const everyWord = all(
    words.map((word) => {
      const mac = normalizeMac(word);
      const contains = containsLower('devices.search_text', word);
      return mac === null ? contains : any([contains, hasMac(mac)]);
    }),
  );
  return whole === null ? everyWord : any([hasMac(whole), everyWord]);
}
