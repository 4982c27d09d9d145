import { z } from 'zod';
import type { Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import { visibleAtSite } from '../../storage/access-conditions.ts';
import type { Database } from '../../storage/database.ts';
import {
  orgsInMaintenance,
  orgsWithTurns,
  settleMaintenance,
  trimWindows,
  unsettledDevices,
} from '../../storage/device-maintenance.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import {
  createMaintenanceReader,
  deleteWindow,
  insertWindow,
  type MaintenanceTarget,
  MAX_OPEN_WINDOWS,
} from '../../storage/maintenance-windows.ts';
import type { MaintenanceWindowRow } from '../../storage/rows.ts';
import { equals } from '../../storage/sql-conditions.ts';
import { notFound, seesOrg, writeScopeRefusal } from '../integrations/access.ts';
import type { DeletePayload } from '../integrations/payloads.ts';
import { invalidInput, userError } from '../integrations/user-errors.ts';
import { ringForEvents } from '../process/event-writer.ts';
import { isDueAgain } from './due.ts';
import type { WriterSource } from './incidents.ts';
import type { StatusJob } from './keeper.ts';
import { tellStillDown } from './still-down.ts';

const MAX_LENGTH_MS = 400 * 86_400_000;
/** As long as the history of states, and what a window of availability can reach. */
const KEPT_MS = 400 * 86_400_000;
const MAX_REASON = 500;
/** Devices of one transaction. */
const WRITE_ROWS = 500;
/** Everything is looked over this often: what two transactions missed of each other is put right. */
const LOOK_OVER_MS = 60_000;

const Input = z
  .object({
    orgId: z.string().nullish(),
    siteId: z.string().nullish(),
    deviceId: z.string().nullish(),
    from: z.number(),
    to: z.number(),
    reason: z
      .string()
      .trim()
      .min(1, 'must not be empty')
      .max(MAX_REASON, `must have at most ${MAX_REASON} characters`)
      .refine((text) => !text.includes('\0'), 'must not contain U+0000'),
  })
  .refine(
    ({ orgId, siteId, deviceId }) => [orgId, siteId, deviceId].filter((id) => typeof id === 'string').length === 1,
    { path: ['orgId'], message: 'or siteId or deviceId must be given, and only one of them' },
  )
  .refine(({ from, to }) => from < to, { path: ['to'], message: 'must be after from' })
  .refine(({ from, to }) => to - from <= MAX_LENGTH_MS, {
    path: ['to'],
    message: 'must be at most 400 days after from',
  });

export interface MaintenancePayload {
  readonly maintenanceWindow: MaintenanceWindowRow | null;
  readonly userErrors: UserError[];
}

/** Planned work: who plans it, and which devices are in it now. */
export interface Maintenance {
  /** Takes effect at once where it is open already. @param input as the API's MaintenanceWindowInput */
  create(principal: Principal, input: unknown): Promise<MaintenancePayload>;
  /** As if it had never been planned: what happened in it counts again. */
  delete(principal: Principal, id: string): Promise<DeletePayload>;
  /** Opens and closes windows as time passes. */
  readonly job: StatusJob;
}

const OF_WHOLE_ORG = 'This token is limited to sites; this window is about the whole org.';

export interface MaintenanceDeps {
  readonly db: Database;
  readonly now: () => number;
  /** Tells of devices that are not back when their planned work is over; without it nobody does. */
  readonly writer?: WriterSource;
}

export function createMaintenance({ db, now, writer }: MaintenanceDeps): Maintenance {
  const reader = createMaintenanceReader(db);
  let lookedAt: number | null = null;
  let lookedOverAt = Number.NEGATIVE_INFINITY;

  async function settleOrg(orgId: string, at: number): Promise<void> {
    let moved = 0;
    for await (const ids of unsettledDevices(db, orgId, at)) {
      for (let from = 0; from < ids.length; from += WRITE_ROWS) {
        const { count, told } = await db.write(async (tx) => {
          const moves = await settleMaintenance(db, tx, ids.slice(from, from + WRITE_ROWS), at);
          const out = moves.flatMap(({ id, window }) => (window === null ? [id] : []));
          const integrations = writer === undefined ? [] : await tellStillDown(tx, writer, out, at);
          if (moves.length > 0) await bumpOrgRevision(tx, orgId, at);
          return { count: moves.length, told: integrations };
        });
        moved += count;
        for (const integration of told) ringForEvents(db, integration);
      }
    }
    if (moved > 0) db.doorbell.ring(`org:${orgId}`);
  }

  /** What a window is to be about, as far as the principal may plan there; null when that does not exist for it. */
  async function targetOf(
    { access }: Principal,
    { orgId, siteId, deviceId }: z.infer<typeof Input>,
  ): Promise<MaintenanceTarget | null> {
    if (typeof siteId === 'string') {
      const site = await db.read
        .selectFrom('sites')
        .select('org_id')
        .where(equals('sites.id', siteId))
        .where(visibleAtSite(access, 'sites', 'id'))
        .executeTakeFirst();
      return site === undefined ? null : { orgId: site.org_id, siteId, deviceId: null };
    }
    if (typeof deviceId === 'string') {
      const device = await db.read
        .selectFrom('devices')
        .select('org_id')
        .where(equals('devices.id', deviceId))
        .where(visibleAtSite(access, 'devices'))
        .executeTakeFirst();
      return device === undefined ? null : { orgId: device.org_id, siteId: null, deviceId };
    }
    const org = await db.read
      .selectFrom('orgs')
      .select('id')
      .where(equals('orgs.id', orgId ?? ''))
      .executeTakeFirst();
    return org === undefined ? null : { orgId: org.id, siteId: null, deviceId: null };
  }

  return {
    async create(principal, input) {
      const refuse = (...userErrors: UserError[]): MaintenancePayload => ({ maintenanceWindow: null, userErrors });
      const refusal = writeScopeRefusal(principal);
      if (refusal !== null) return refuse(refusal);
      const parsed = Input.safeParse(input);
      if (!parsed.success) return refuse(...invalidInput(parsed.error));
      const { data } = parsed;
      const isOfOrg = typeof data.orgId === 'string';
      const target = isOfOrg && !seesOrg(principal, data.orgId ?? '') ? null : await targetOf(principal, data);
      if (isOfOrg && target !== null && principal.access.siteIds !== null) {
        return refuse(userError('FORBIDDEN', OF_WHOLE_ORG));
      }
      if (target === null) {
        if (isOfOrg) return refuse(notFound('org', ['orgId']));
        return refuse(
          typeof data.siteId === 'string' ? notFound('site', ['siteId']) : notFound('device', ['deviceId']),
        );
      }
      const at = now();
      const { from, to, reason } = data;
      const window = { ...target, from, to, reason, createdBy: principal.id };
      const row = await db.write(async (tx) => {
        const inserted = await insertWindow(tx, window, at);
        if (inserted !== null) await bumpOrgRevision(tx, target.orgId, at);
        return inserted;
      });
      if (row === null) {
        return refuse(userError('CONFLICT', `The org has ${MAX_OPEN_WINDOWS} windows that are not over.`));
      }
      db.doorbell.ring(`org:${target.orgId}`);
      await settleOrg(target.orgId, at);
      return { maintenanceWindow: row, userErrors: [] };
    },

    async delete(principal, id) {
      const refuse = (error: UserError): DeletePayload => ({ deletedId: null, userErrors: [error] });
      const refusal = writeScopeRefusal(principal);
      if (refusal !== null) return refuse(refusal);
      const [window] = await reader.windows(principal.access, [id]);
      if (window === undefined) return refuse(notFound('maintenance window', ['id']));
      const isOfOrg = window.site_id === null && window.device_id === null;
      if (isOfOrg && principal.access.siteIds !== null) return refuse(userError('FORBIDDEN', OF_WHOLE_ORG));
      const at = now();
      await db.write(async (tx) => {
        await deleteWindow(tx, id);
        await bumpOrgRevision(tx, window.org_id, at);
      });
      db.doorbell.ring(`org:${window.org_id}`);
      await settleOrg(window.org_id, at);
      return { deletedId: id, userErrors: [] };
    },

    job: {
      name: 'maintenance windows',
      async run(at) {
        const isDue = lookedAt === null || isDueAgain(lookedOverAt, LOOK_OVER_MS, at);
        const orgIds = isDue ? await orgsInMaintenance(db, at) : await orgsWithTurns(db, lookedAt ?? at, at);
        for (const orgId of orgIds) await settleOrg(orgId, at);
        // Only now: a run that failed is done again.
        lookedAt = at;
        if (!isDue) return false;
        lookedOverAt = at;
        await trimWindows(db, at - KEPT_MS);
        return false;
      },
    },
  };
}
