import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';
import { newId } from './ids.ts';
import type { OrgRow, SiteRow } from './rows.ts';

export interface NewExternalId {
  readonly namespace: string;
  readonly value: string;
}

export interface NewOrg {
  readonly name: string;
  readonly customerRef: string | null;
  readonly externalIds: readonly NewExternalId[];
}

export interface NewSite {
  readonly orgId: string;
  readonly name: string;
  readonly address: string | null;
  readonly coordinates: { readonly latitude: number; readonly longitude: number } | null;
  readonly timezone: string | null;
  readonly externalIds: readonly NewExternalId[];
}

/** Writes of the directory; what they take is valid and allowed already. */
export interface DirectoryWriter {
  createOrg(org: NewOrg): Promise<OrgRow>;
  /** @returns null when the org does not exist */
  createSite(site: NewSite): Promise<SiteRow | null>;
}

/**
 * Moves an org's revision on, so that nothing older is answered from memory. To be called in the transaction of every
 * change of the org's directory, inventory or status; ring `org:<id>` after it.
 *
 * @param at milliseconds
 * @returns whether the org exists
 */
export async function bumpOrgRevision(tx: Tx, orgId: string, at: number): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('orgs')
    .set({ revision: sql<number>`revision + 1`, updated_at: at })
    .where('id', '=', orgId)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

async function insertExternalIds(
  tx: Tx,
  owner: { readonly kind: 'org' | 'site'; readonly id: string; readonly orgId: string },
  ids: readonly NewExternalId[],
): Promise<void> {
  if (ids.length === 0) return;
  const rows = ids.map(({ namespace, value }) => ({
    owner_kind: owner.kind,
    owner_id: owner.id,
    org_id: owner.orgId,
    namespace,
    value,
    integration_id: null,
  }));
  await tx.insertInto('external_ids').values(rows).execute();
}

/** Inserts a site inside a transaction that bumps the org's revision itself. @param at milliseconds */
export async function insertSite(tx: Tx, site: NewSite, at: number): Promise<SiteRow> {
  const row: SiteRow = {
    id: newId('site'),
    org_id: site.orgId,
    name: site.name,
    address: site.address,
    latitude: site.coordinates?.latitude ?? null,
    longitude: site.coordinates?.longitude ?? null,
    timezone: site.timezone,
    created_at: at,
    updated_at: at,
  };
  await tx.insertInto('sites').values(row).execute();
  await insertExternalIds(tx, { kind: 'site', id: row.id, orgId: row.org_id }, site.externalIds);
  return row;
}

/**
 * @param now milliseconds since the epoch
 * @param isSandbox orgs are of a sandbox: events of theirs may be made up
 */
export function createDirectoryWriter(db: Database, now: () => number, isSandbox: boolean): DirectoryWriter {
  return {
    async createOrg({ name, customerRef, externalIds }) {
      const at = now();
      const row: OrgRow = {
        id: newId('org'),
        name,
        customer_ref: customerRef,
        revision: 1,
        created_at: at,
        updated_at: at,
        is_sandbox: isSandbox ? 1 : 0,
      };
      await db.write(async (tx) => {
        await tx.insertInto('orgs').values(row).execute();
        await insertExternalIds(tx, { kind: 'org', id: row.id, orgId: row.id }, externalIds);
      });
      db.doorbell.ring(`org:${row.id}`);
      return row;
    },

    async createSite(site) {
      const at = now();
      const row = await db.write(async (tx) =>
        (await bumpOrgRevision(tx, site.orgId, at)) ? insertSite(tx, site, at) : null,
      );
      if (row !== null) db.doorbell.ring(`org:${site.orgId}`);
      return row;
    },
  };
}
