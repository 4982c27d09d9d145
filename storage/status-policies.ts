import { createHash } from 'node:crypto';
import { type Kysely, type Selectable, type SqlBool, sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { visibleAtSite, visibleInOrg } from './access-conditions.ts';
import type { Database, Tx } from './database.ts';
import { any, isOneOf } from './sql-conditions.ts';
import type { StatusPoliciesTable } from './status-tables.ts';
import type { Tables } from './tables.ts';

export type StatusPolicyRow = Selectable<StatusPoliciesTable>;

/** Of one org: all of them are read with each batch of events. Rules for sites and types need far fewer. */
export const MAX_STATUS_POLICIES = 500;

/** What a policy is about; at most one of `deviceId`, and site or type or both. All null: the whole org. */
export interface PolicyPlace {
  readonly orgId: string;
  readonly siteId: string | null;
  readonly deviceType: string | null;
  readonly deviceId: string | null;
}

/** What a policy says; null: a wider one decides. Milliseconds. */
export interface PolicyValues {
  readonly offlineDwellMs: number | null;
  readonly flapChanges: number | null;
  readonly flapWindowMs: number | null;
  readonly silenceMs: number | null;
}

/** The same place has the same id, so that saving twice is saving once. */
export function statusPolicyId({ orgId, siteId, deviceType, deviceId }: PolicyPlace): string {
  const place = [orgId, siteId ?? '', deviceType ?? '', deviceId ?? ''].join('\0');
  return `pol_${createHash('sha256').update(place).digest('hex').slice(0, 24)}`;
}

/** All of an org: the whole org first, then by type, site and device. */
export async function readStatusPolicies(db: Kysely<Tables>, orgId: string): Promise<readonly StatusPolicyRow[]> {
  return db
    .selectFrom('status_policies')
    .selectAll()
    .where('org_id', '=', orgId)
    .orderBy(sql`coalesce(device_id, '')`)
    .orderBy(sql`coalesce(site_id, '')`)
    .orderBy(sql`coalesce(device_type, '')`)
    .limit(MAX_STATUS_POLICIES)
    .execute();
}

/**
 * Policies in a principal's scope, the whole org first. One that is limited to sites sees what its devices are judged by:
 * policies of its sites, of devices there, and of the whole org.
 */
export async function readVisiblePolicies(
  db: Database,
  access: AccessScope,
  which: { readonly ids: readonly string[] } | { readonly orgIds: readonly string[] },
): Promise<readonly StatusPolicyRow[]> {
  const { siteIds } = access;
  const named =
    'ids' in which ? isOneOf('status_policies.id', which.ids) : isOneOf('status_policies.org_id', which.orgIds);
  let query = db.read
    .selectFrom('status_policies')
    .selectAll()
    .where(named)
    .where(visibleInOrg(access, 'status_policies'));
  if (siteIds !== null) {
    query = query.where(
      any([
        sql<SqlBool>`(status_policies.site_id is null and status_policies.device_id is null)`,
        isOneOf('status_policies.site_id', siteIds),
        sql<SqlBool>`exists (select 1 from devices where devices.id = status_policies.device_id and ${visibleAtSite(access, 'devices')})`,
      ]),
    );
  }
  return query
    .orderBy(sql`coalesce(device_id, '')`)
    .orderBy(sql`coalesce(site_id, '')`)
    .orderBy(sql`coalesce(device_type, '')`)
    .execute();
}

/** @returns null when the org has as many as it may */
export async function saveStatusPolicy(
  tx: Tx,
  place: PolicyPlace,
  values: PolicyValues,
  now: number,
): Promise<StatusPolicyRow | null> {
  const id = statusPolicyId(place);
  const said = {
    offline_dwell_ms: values.offlineDwellMs,
    flap_changes: values.flapChanges,
    flap_window_ms: values.flapWindowMs,
    silence_ms: values.silenceMs,
    updated_at: now,
  };
  const others = await tx
    .selectFrom('status_policies')
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .where('org_id', '=', place.orgId)
    .where('id', '!=', id)
    .executeTakeFirstOrThrow();
  if (others.total >= MAX_STATUS_POLICIES) return null;
  const row = {
    id,
    org_id: place.orgId,
    site_id: place.siteId,
    device_type: place.deviceType,
    device_id: place.deviceId,
    ...said,
  };
  await tx
    .insertInto('status_policies')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(said))
    .execute();
  return row;
}

/** @returns whether it was there */
export async function removeStatusPolicy(tx: Tx, id: string): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('status_policies').where('id', '=', id).executeTakeFirst();
  return numDeletedRows > 0n;
}
