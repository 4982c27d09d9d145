import { z } from 'zod';
import type { Database, Tx } from '../../storage/database.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import { newId } from '../../storage/ids.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { lockIntegration, ringForEvents } from '../process/event-writer.ts';
import {
  closeIncident,
  type IncidentRow,
  openIncident,
  type Telling,
  tellIncidents,
  type Told,
  type WriterSource,
} from './incidents.ts';
import { isPlatformDown } from './outages.ts';
import { EXPLAINED_WITHIN_MS, REOPEN_MS } from './root-cause.ts';
import { settleRootCauses } from './root-cause-hook.ts';
import {
  findStorm,
  hasFallen,
  isPowerBack,
  type PowerEvidence,
  type SiteMember,
  STORM_DEVICES,
  STORM_LOOK_BACK_MS,
} from './root-cause-power.ts';

/** Devices of one site that are looked at: beyond it, what is told of power is all that counts. */
const MAX_SITE_DEVICES = 50_000;
/** A panel whose word that power is back was lost must not keep a site in the dark for ever. */
const FORGOTTEN_MS = 24 * 3_600_000;
/** Panels of one site that may have told of the same cut. */
const MAX_LOST = 100;

const Evidence = z.object({ lost: z.array(z.string()).default([]), wasTold: z.boolean().default(false) });

function evidenceOf({ details }: Pick<IncidentRow, 'details'>): PowerEvidence {
  const parsed = Evidence.safeParse(JSON.parse(details));
  return parsed.success ? parsed.data : { lost: [], wasTold: false };
}

export interface SitePowerDeps {
  readonly db: Database;
  readonly writer: WriterSource;
}

/** Judges the power of sites. Each call is a transaction that is safe to repeat. Instants: milliseconds since the epoch. */
export interface SitePower {
  /** Looks whether most of a site went down at once. */
  look(siteId: string, now: number): Promise<void>;
  /** A device told that it lost power, or has it again. @param at by the source's clock */
  told(siteId: string, deviceId: string, word: 'LOST' | 'RESTORED', at: number, now: number): Promise<void>;
  /** Ends what is over. */
  review(now: number): Promise<void>;
}

interface Site {
  readonly id: string;
  readonly org_id: string;
  readonly name: string;
}

/**
 * It writes devices of several integrations, and therefore takes their rows in order of id, as everybody who takes more
 * than one does.
 */
export function createSitePower({ db, writer }: SitePowerDeps): SitePower {
  async function siteOf(siteId: string): Promise<Site | undefined> {
    return db.read.selectFrom('sites').select(['id', 'org_id', 'name']).where('id', '=', siteId).executeTakeFirst();
  }

  /**
   * What is known of the site's devices: of a platform that is away, nobody knows whether its devices still stand. What
   * falls in planned work falls for that, and says nothing about power.
   */
  async function membersOf(from: Pick<Tx, 'selectFrom'>, siteId: string): Promise<readonly SiteMember[]> {
    const rows = await from
      .selectFrom('devices')
      .innerJoin('integrations', 'integrations.id', 'devices.integration_id')
      .select(['devices.id', 'devices.parent_id', 'devices.site_id', 'devices.integration_id', 'devices.state'])
      .select(['devices.state_reason', 'devices.state_since', 'devices.last_seen_at', 'devices.flapping'])
      .select(['devices.suppressed_by', 'devices.incident_id'])
      .select(['integrations.enabled', 'integrations.error_code', 'integrations.silent_since'])
      .select('integrations.last_sync_state')
      .where('devices.site_id', '=', siteId)
      .where('devices.removed_at', 'is', null)
      .where('devices.maintenance_id', 'is', null)
      .limit(MAX_SITE_DEVICES)
      .execute();
    const isUnseen = (row: (typeof rows)[number]): boolean => row.state !== 'OFFLINE' && isPlatformDown(row);
    return rows.map((row) => ({
      id: row.id,
      parentId: row.parent_id,
      siteId: row.site_id,
      integrationId: row.integration_id,
      state: isUnseen(row) ? 'UNKNOWN' : row.state,
      reason: isUnseen(row) ? null : row.state_reason,
      since: row.state_since,
      lastSeenAt: row.last_seen_at,
      isFlapping: row.flapping === 1,
      suppressedBy: row.suppressed_by,
      incidentId: row.incident_id,
    }));
  }

  async function hasManyFallen(siteId: string, now: number): Promise<boolean> {
    const rows = await db.read
      .selectFrom('devices')
      .select('id')
      .where('site_id', '=', siteId)
      .where('removed_at', 'is', null)
      .where('maintenance_id', 'is', null)
      .where('state', 'in', ['OFFLINE', 'UNKNOWN'])
      .where('state_since', '>=', now - STORM_LOOK_BACK_MS)
      .limit(STORM_DEVICES)
      .execute();
    return rows.length === STORM_DEVICES;
  }

  async function openOf(from: Pick<Tx, 'selectFrom'>, siteId: string): Promise<IncidentRow | undefined> {
    return from
      .selectFrom('incidents')
      .selectAll()
      .where('root_id', '=', siteId)
      .where('closed_at', 'is', null)
      .executeTakeFirst();
  }

  async function integrationsOf(tx: Tx, siteId: string): Promise<readonly IntegrationRow[]> {
    const bound = await tx.selectFrom('site_bindings').select('integration_id').where('site_id', '=', siteId).execute();
    const ids = [...new Set(bound.map(({ integration_id: id }) => id))].toSorted();
    for (const id of ids) await lockIntegration(db, tx, id);
    if (ids.length === 0) return [];
    return tx.selectFrom('integrations').selectAll().where('id', 'in', ids).orderBy('id').execute();
  }

  /** Where the log knows the site: under the first integration that is bound to it. */
  async function whereOf(tx: Tx, siteId: string, integrations: readonly IntegrationRow[]): Promise<Told | undefined> {
    const binding = await tx
      .selectFrom('site_bindings')
      .selectAll()
      .where('site_id', '=', siteId)
      .orderBy('integration_id')
      .orderBy('id')
      .executeTakeFirst();
    const integration = integrations.find(({ id }) => id === binding?.integration_id);
    if (binding === undefined || integration === undefined) return undefined;
    return { integration, nativeOrgId: binding.vendor_org_id, nativeSiteId: binding.vendor_site_id };
  }

  /** Platforms that stand at the site and went with it. */
  async function mergePlatforms(
    tx: Tx,
    siteId: string,
    integrations: readonly IntegrationRow[],
    incident: IncidentRow,
    now: number,
  ): Promise<readonly Telling[]> {
    const ids = integrations.map(({ id }) => id);
    if (ids.length === 0) return [];
    const elsewhere = await tx
      .selectFrom('site_bindings')
      .select('integration_id')
      .where('integration_id', 'in', ids)
      .where('site_id', '<>', siteId)
      .execute();
    const others = new Set(elsewhere.map(({ integration_id: id }) => id));
    const own = ids.filter((id) => !others.has(id));
    if (own.length === 0) return [];
    const rows = await tx
      .selectFrom('incidents')
      .selectAll()
      .where('root_id', 'in', own)
      .where('closed_at', 'is', null)
      .where('opened_at', '>=', incident.opened_at - STORM_LOOK_BACK_MS)
      .execute();
    const tellings: Telling[] = [];
    for (const row of rows) {
      const integration = integrations.find(({ id }) => id === row.root_id);
      const at = await closeIncident(tx, row, incident.opened_at, now);
      if (integration === undefined) continue;
      tellings.push({ incidentId: row.id, word: 'closed', where: { integration }, at, mergedInto: incident.id });
    }
    return tellings;
  }

  /** Opens the site's incident, or finds it, and puts into it what fell with the power. */
  async function open(
    tx: Tx,
    site: Site,
    integrations: readonly IntegrationRow[],
    evidence: PowerEvidence,
    since: number,
    now: number,
  ): Promise<void> {
    const known = await openOf(tx, site.id);
    const ended =
      known === undefined
        ? await tx
            .selectFrom('incidents')
            .selectAll()
            .where('root_id', '=', site.id)
            .where('closed_at', '>=', since - REOPEN_MS)
            .orderBy('closed_at', 'desc')
            .executeTakeFirst()
        : undefined;
    const incident: IncidentRow = {
      id: known?.id ?? ended?.id ?? newId('inc'),
      org_id: site.org_id,
      site_id: site.id,
      root_kind: 'SITE',
      root_id: site.id,
      cause: 'SITE_POWER',
      summary: evidence.wasTold
        ? `${site.name} has lost power`
        : `Most of ${site.name} went down at once, as if for want of power`,
      opened_at: known?.opened_at ?? ended?.opened_at ?? since,
      closed_at: null,
      affected: 0,
      details: JSON.stringify(evidence),
      updated_at: now,
    };
    await openIncident(tx, incident);
    const tellings: Telling[] = [];
    const where = await whereOf(tx, site.id, integrations);
    if (known === undefined && where !== undefined)
      tellings.push({ incidentId: incident.id, word: 'opened', where, at: since, mergedInto: null });
    const members = await membersOf(tx, site.id);
    const down = Map.groupBy(
      members.filter((member) => hasFallen(member) && member.since >= incident.opened_at - EXPLAINED_WITHIN_MS),
      ({ integrationId }) => integrationId,
    );
    for (const integration of integrations) {
      const ids = (down.get(integration.id) ?? []).map(({ id }) => id);
      if (ids.length > 0) tellings.push(...(await settleRootCauses(tx, integration, ids, now)).tellings);
    }
    tellings.push(...(await mergePlatforms(tx, site.id, integrations, incident, now)));
    await tellIncidents(tx, writer, tellings, now);
    await bumpOrgRevision(tx, site.org_id, now);
  }

  function ring(site: Pick<Site, 'org_id'>, integrations: readonly IntegrationRow[]): void {
    for (const { id } of integrations) ringForEvents(db, { id, org_id: site.org_id });
  }

  async function close(incident: IncidentRow, now: number): Promise<void> {
    const { root_id: siteId, org_id: orgId } = incident;
    const integrations = await db.write(async (tx) => {
      const own = await integrationsOf(tx, siteId);
      const at = await closeIncident(tx, incident, now, now);
      const where = await whereOf(tx, siteId, own);
      if (where !== undefined) {
        const telling: Telling = { incidentId: incident.id, word: 'closed', where, at, mergedInto: null };
        await tellIncidents(tx, writer, [telling], now);
      }
      await bumpOrgRevision(tx, orgId, now);
      return own;
    });
    ring({ org_id: orgId }, integrations);
  }

  async function isOver(incident: IncidentRow, now: number): Promise<boolean> {
    const { total } = await db.read
      .selectFrom('devices')
      .select((eb) => eb.fn.countAll<number>().as('total'))
      .where('incident_id', '=', incident.id)
      // What was taken elsewhere meanwhile says nothing about power here.
      .where('site_id', '=', incident.root_id)
      .where('removed_at', 'is', null)
      .executeTakeFirstOrThrow();
    const evidence = evidenceOf(incident);
    if (isPowerBack(evidence, total, incident.affected)) return true;
    return total === 0 && evidence.lost.length > 0 && now - incident.updated_at > FORGOTTEN_MS;
  }

  return {
    async look(siteId, now) {
      if (!(await hasManyFallen(siteId, now)) || (await openOf(db.read, siteId)) !== undefined) return;
      const site = await siteOf(siteId);
      if (site === undefined || findStorm(await membersOf(db.read, siteId), now) === null) return;
      const integrations = await db.write(async (tx) => {
        const own = await integrationsOf(tx, siteId);
        // Again, now that nobody writes: some may be back.
        const storm = findStorm(await membersOf(tx, siteId), now);
        if (storm === null || (await openOf(tx, siteId)) !== undefined) return [];
        await open(tx, site, own, { lost: [], wasTold: false }, storm.since, now);
        return own;
      });
      ring(site, integrations);
    },

    async told(siteId, deviceId, word, at, now) {
      const site = await siteOf(siteId);
      if (site === undefined) return;
      const integrations = await db.write(async (tx) => {
        const own = await integrationsOf(tx, siteId);
        const known = await openOf(tx, siteId);
        const before = known === undefined ? { lost: [], wasTold: false } : evidenceOf(known);
        const others = before.lost.filter((id) => id !== deviceId);
        if (word === 'LOST') {
          const lost = [...others, deviceId].slice(-MAX_LOST);
          await open(tx, site, own, { lost, wasTold: true }, at, now);
        } else if (known !== undefined && others.length < before.lost.length) {
          const details = JSON.stringify({ lost: others, wasTold: true });
          await tx.updateTable('incidents').set({ details, updated_at: now }).where('id', '=', known.id).execute();
        }
        return own;
      });
      ring(site, integrations);
    },

    async review(now) {
      const rows = await db.read
        .selectFrom('incidents')
        .selectAll()
        .where('closed_at', 'is', null)
        .where('cause', '=', 'SITE_POWER')
        .execute();
      for (const incident of rows) if (await isOver(incident, now)) await close(incident, now);
    },
  };
}
