import { type SqlBool, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { ALWAYS, all, type Condition, isOneOf } from './sql-conditions.ts';

// Who may see which row, in SQL: every query of the directory and the inventory starts with one of these, so that what
// lies outside of a scope cannot be told from what does not exist.

/** @param ref qualified column that holds an org's id */
function orgWithin(access: AccessScope, ref: string): Condition {
  return access.orgIds === 'all' ? ALWAYS : isOneOf(ref, access.orgIds);
}

/** A site-limited principal sees the org of its sites. */
export function visibleOrg(access: AccessScope): Condition {
  const { siteIds } = access;
  if (siteIds === null) return orgWithin(access, 'orgs.id');
  return all([
    orgWithin(access, 'orgs.id'),
    sql<SqlBool>`exists (select 1 from sites as seen where seen.org_id = orgs.id and ${isOneOf('seen.id', siteIds)})`,
  ]);
}

/**
 * For rows that belong to one site.
 *
 * @param table its `org_id` and `site` column are read; rows without a site are for principals that see the whole org
 */
export function visibleAtSite(access: AccessScope, table: string, site = 'site_id'): Condition {
  const inOrg = orgWithin(access, `${table}.org_id`);
  return access.siteIds === null ? inOrg : all([inOrg, isOneOf(`${table}.${site}`, access.siteIds)]);
}

/** A site-limited principal sees the integrations that are bound to one of its sites. */
export function visibleIntegration(access: AccessScope): Condition {
  const { siteIds } = access;
  const inOrg = orgWithin(access, 'integrations.org_id');
  if (siteIds === null) return inOrg;
  return all([
    inOrg,
    sql<SqlBool>`exists (select 1 from site_bindings as seen where seen.integration_id = integrations.id and ${isOneOf('seen.site_id', siteIds)})`,
  ]);
}

/**
 * Integrations of which the principal may see everything: what is counted for an integration as a whole must not tell
 * a site-limited principal about the other sites behind it.
 */
export function whollyVisibleIntegration(access: AccessScope): Condition {
  const { siteIds } = access;
  if (siteIds === null) return visibleIntegration(access);
  return all([
    visibleIntegration(access),
    sql<SqlBool>`not exists (select 1 from site_bindings as other where other.integration_id = integrations.id and not ${isOneOf('other.site_id', siteIds)})`,
  ]);
}

/** For rows that carry nothing but their org. */
export function visibleInOrg(access: AccessScope, table: string): Condition {
  return orgWithin(access, `${table}.org_id`);
}

/** Equal for scopes that see the same rows. */
export function accessText(access: AccessScope): string {
  return JSON.stringify([access.orgIds, access.siteIds]);
}

/** The scope within one org; sees nothing when the org is outside. */
export function narrowToOrg(access: AccessScope, orgId: string): AccessScope {
  const isWithin = access.orgIds === 'all' || access.orgIds.includes(orgId);
  return { orgIds: isWithin ? [orgId] : [], siteIds: access.siteIds };
}
