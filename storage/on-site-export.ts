import { type SqlBool, sql } from 'kysely';
import type { OnSiteDevice, OnSiteHealth } from '../schema/contract/on-site.ts';
import { statusWord, typeWord } from '../schema/contract/on-site.ts';
import type { AccessScope } from '../schema/principal.ts';
import { DEVICE_STATES, DEVICE_TYPES } from '../schema/words.ts';
import { visibleAtSite, visibleOrg } from './access-conditions.ts';
import type { Database } from './database.ts';

/** An org's devices in the shape of the contract for adapters on site. */
export interface OnSiteExport {
  /** @returns what the contract calls the customer: the org's own reference, or its id; null when it is not visible */
  customerOf(access: AccessScope, orgId: string): Promise<string | null>;
  /** Devices by name, in portions; each portion is read when it is asked for. Removed ones are left out. */
  inventory(access: AccessScope, orgId: string, customerId: string): AsyncIterable<readonly OnSiteDevice[]>;
  /** How each of them is, and since when. */
  health(access: AccessScope, orgId: string): AsyncIterable<readonly OnSiteHealth[]>;
}

/** Devices of one portion: some 100 KiB of text. */
const PORTION = 500;

const COLUMNS = ['id', 'name', 'type', 'state', 'state_since', 'first_seen_at', 'mac_addresses', 'ip'] as const;

function firstMac(json: string): string | null {
  const list: unknown = JSON.parse(json);
  const [mac]: readonly unknown[] = Array.isArray(list) ? list : [];
  // Upper case, as the contract's own sample has it.
  return typeof mac === 'string' ? mac.toUpperCase() : null;
}

export function createOnSiteExport(db: Pick<Database, 'read'>): OnSiteExport {
  async function* portions(access: AccessScope, orgId: string) {
    let last: { readonly name: string; readonly id: string } | null = null;
    for (;;) {
      let query = db.read
        .selectFrom('devices')
        .select(COLUMNS)
        .where('org_id', '=', orgId)
        .where('removed_at', 'is', null)
        .where(visibleAtSite(access, 'devices'));
      if (last !== null) query = query.where(sql<SqlBool>`(devices.name, devices.id) > (${last.name}, ${last.id})`);
      const rows = await query.orderBy('name').orderBy('id').limit(PORTION).execute();
      const end = rows.at(-1);
      if (end === undefined) return;
      yield rows;
      if (rows.length < PORTION) return;
      last = { name: end.name, id: end.id };
    }
  }

  return {
    async customerOf(access, orgId) {
      const org = await db.read
        .selectFrom('orgs')
        .select(['id', 'customer_ref'])
        .where('id', '=', orgId)
        .where(visibleOrg(access))
        .executeTakeFirst();
      return org === undefined ? null : (org.customer_ref ?? org.id);
    },
    async *inventory(access, orgId, customerId) {
      for await (const rows of portions(access, orgId)) {
        yield rows.map((row) => {
          const mac = firstMac(row.mac_addresses);
          return {
            id: row.id,
            name: row.name,
            type: typeWord(DEVICE_TYPES.find((type) => type === row.type) ?? 'OTHER'),
            customer_id: customerId,
            status: statusWord(DEVICE_STATES.find((state) => state === row.state) ?? 'UNKNOWN'),
            ...(mac === null ? {} : { mac_address: mac }),
            ...(row.ip === null ? {} : { ip: row.ip }),
          };
        });
      }
    },
    async *health(access, orgId) {
      for await (const rows of portions(access, orgId)) {
        yield rows.map((row) => ({
          device_id: row.id,
          status: statusWord(DEVICE_STATES.find((state) => state === row.state) ?? 'UNKNOWN'),
          // Nothing was ever claimed of it: it is unknown since we know it.
          timestamp: new Date(row.state_since === 0 ? row.first_seen_at : row.state_since).toISOString(),
        }));
      }
    },
  };
}
