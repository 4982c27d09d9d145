import { z } from 'zod';
import type { Principal } from '../../schema/principal.ts';
import { DEVICE_TYPES, type UserError } from '../../schema/words.ts';
import { visibleAtSite } from '../../storage/access-conditions.ts';
import type { Database } from '../../storage/database.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import { equals } from '../../storage/sql-conditions.ts';
import {
  MAX_STATUS_POLICIES,
  readVisiblePolicies,
  removeStatusPolicy,
  saveStatusPolicy,
  type StatusPolicyRow,
} from '../../storage/status-policies.ts';
import { notFound, seesOrg, writeScopeRefusal } from '../integrations/access.ts';
import type { DeletePayload } from '../integrations/payloads.ts';
import { invalidInput, userError } from '../integrations/user-errors.ts';
import { withSilenceOf } from './policy-silence.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Beyond it nobody would call it the same outage. */
const MAX_DWELL_MS = DAY_MS;
/** As many instants are kept with each device. */
const MAX_FLAP_CHANGES = 50;
const MAX_FLAP_WINDOW_MS = DAY_MS;
const MAX_SILENCE_MS = 30 * DAY_MS;

/** @param what as in the message; milliseconds */
function span(least: number, most: number, what: string) {
  return z
    .number()
    .nullish()
    .refine((ms) => ms === null || ms === undefined || (ms >= least && ms <= most), what)
    .transform((ms) => (ms === null || ms === undefined ? null : Math.round(ms)));
}

const Input = z
  .object({
    orgId: z.string(),
    siteId: z.string().nullish(),
    deviceType: z.enum(DEVICE_TYPES).nullish(),
    deviceId: z.string().nullish(),
    offlineDwell: span(0, MAX_DWELL_MS, 'must be at most a day'),
    flapChanges: z
      .int()
      .min(2, 'must be at least 2')
      .max(MAX_FLAP_CHANGES, `must be at most ${MAX_FLAP_CHANGES}`)
      .nullish(),
    flapWindow: span(10_000, MAX_FLAP_WINDOW_MS, 'must be from 10 seconds to a day'),
    silence: span(MINUTE_MS, MAX_SILENCE_MS, 'must be from a minute to 30 days'),
  })
  .refine(({ siteId, deviceType, deviceId }) => !deviceId || (!siteId && !deviceType), {
    path: ['deviceId'],
    message: 'must be given alone: a device has one site and one type',
  })
  .refine(
    (input) =>
      [input.offlineDwell, input.flapChanges, input.flapWindow, input.silence].some(
        (value) => value !== null && value !== undefined,
      ),
    { path: ['offlineDwell'], message: 'or another value must be given; to say nothing, delete the policy' },
  );

export interface StatusPolicyPayload {
  readonly statusPolicy: StatusPolicyRow | null;
  readonly userErrors: UserError[];
}

/** Who decides how status is judged. */
export interface StatusPolicies {
  /** Replaces what was said for the same place. @param input as the API's StatusPolicyInput */
  set(principal: Principal, input: unknown): Promise<StatusPolicyPayload>;
  delete(principal: Principal, id: string): Promise<DeletePayload>;
}

const BEYOND_SITES = 'This token is limited to sites; this policy is about more than them.';

export function createStatusPolicies({
  db,
  now,
  quietVendors = [],
}: {
  readonly db: Database;
  readonly now: () => number;
  /** Slugs of vendors whose devices are waited for, because their listings say no state; default none. */
  readonly quietVendors?: readonly string[];
}): StatusPolicies {
  async function isVisible(table: 'sites' | 'devices', { access }: Principal, orgId: string, id: string) {
    const row = await db.read
      .selectFrom(table)
      .select('id')
      .where(equals(`${table}.id`, id))
      .where('org_id', '=', orgId)
      .where(table === 'sites' ? visibleAtSite(access, 'sites', 'id') : visibleAtSite(access, 'devices'))
      .executeTakeFirst();
    return row !== undefined;
  }

  return {
    async set(principal, input) {
      const refuse = (...userErrors: UserError[]): StatusPolicyPayload => ({ statusPolicy: null, userErrors });
      const refusal = writeScopeRefusal(principal);
      if (refusal !== null) return refuse(refusal);
      const parsed = Input.safeParse(input);
      if (!parsed.success) return refuse(...invalidInput(parsed.error));
      const { orgId, siteId = null, deviceType = null, deviceId = null, ...values } = parsed.data;
      if (!seesOrg(principal, orgId)) return refuse(notFound('org', ['orgId']));
      if (siteId === null && deviceId === null) {
        if (principal.access.siteIds !== null) return refuse(userError('FORBIDDEN', BEYOND_SITES));
        const org = await db.read.selectFrom('orgs').select('id').where('id', '=', orgId).executeTakeFirst();
        if (org === undefined) return refuse(notFound('org', ['orgId']));
      }
      if (siteId !== null && !(await isVisible('sites', principal, orgId, siteId))) {
        return refuse(notFound('site', ['siteId']));
      }
      if (deviceId !== null && !(await isVisible('devices', principal, orgId, deviceId))) {
        return refuse(notFound('device', ['deviceId']));
      }
      const at = now();
      const row = await db.write(async (tx) => {
        const place = { orgId, siteId, deviceType, deviceId };
        const said = {
          offlineDwellMs: values.offlineDwell,
          flapChanges: values.flapChanges ?? null,
          flapWindowMs: values.flapWindow,
          silenceMs: values.silence,
        };
        const saved = await withSilenceOf(db, tx, place, quietVendors, () => saveStatusPolicy(tx, place, said, at));
        if (saved !== null) await bumpOrgRevision(tx, orgId, at);
        return saved;
      });
      if (row === null) return refuse(userError('CONFLICT', `The org has ${MAX_STATUS_POLICIES} policies.`));
      db.doorbell.ring(`org:${orgId}`);
      return { statusPolicy: row, userErrors: [] };
    },

    async delete(principal, id) {
      const refuse = (error: UserError): DeletePayload => ({ deletedId: null, userErrors: [error] });
      const refusal = writeScopeRefusal(principal);
      if (refusal !== null) return refuse(refusal);
      const [row] = await readVisiblePolicies(db, principal.access, { ids: [id] });
      if (row === undefined) return refuse(notFound('status policy', ['id']));
      if (row.site_id === null && row.device_id === null && principal.access.siteIds !== null) {
        return refuse(userError('FORBIDDEN', BEYOND_SITES));
      }
      await db.write(async (tx) => {
        const { org_id: orgId, site_id: siteId, device_type: deviceType, device_id: deviceId } = row;
        const place = { orgId, siteId, deviceType, deviceId };
        await withSilenceOf(db, tx, place, quietVendors, () => removeStatusPolicy(tx, id));
        await bumpOrgRevision(tx, row.org_id, now());
      });
      db.doorbell.ring(`org:${row.org_id}`);
      return { deletedId: id, userErrors: [] };
    },
  };
}
