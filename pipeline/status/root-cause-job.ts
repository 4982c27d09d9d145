import { type SqlBool, sql } from 'kysely';
import type { Database } from '../../storage/database.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import { lockIntegration, ringForEvents } from '../process/event-writer.ts';
import { isDueAgain } from './due.ts';
import { closeIncident, type Telling, tellIncidents, type WriterSource } from './incidents.ts';
import type { StatusJob } from './keeper.ts';
import { isPlatformDown } from './outages.ts';
import { settlePlatform } from './platform-down.ts';
import { graceOf } from './root-cause.ts';
import { settleRootCauses } from './root-cause-hook.ts';
import { POWER_RESTORED_TYPES, POWER_TYPES, powerWordOf } from './root-cause-power.ts';
import { createSitePower } from './site-power.ts';

/** Rows of the log read at once. */
const PAGE = 2_000;
/** How often incidents are looked at whose end nothing tells. */
const REVIEW_MS = 5_000;
/** How often we look for what no change of state told of: a first listing that finds a dead recorder, a removed parent. */
const SWEEP_MS = 60_000;
/** Devices of one portion. */
const PORTION = 500;
/** Where the reading of the log stands; what was read in the last seconds before a crash is read again. */
const POSITION = 'root_cause_seq';
const SAVE_MS = 10_000;

interface Found {
  readonly id: string;
  readonly integration_id: string;
}

/**
 * What the hook of the event writer cannot see: failures over several integrations, time that has passed, and changes
 * that no event told of.
 */
export function createRootCauseJob({
  db,
  writer,
}: {
  readonly db: Database;
  readonly writer: WriterSource;
}): StatusJob {
  const power = createSitePower({ db, writer });
  let position: number | null = null;
  let savedPosition: number | null = null;
  let savedAt = Number.NEGATIVE_INFINITY;
  let reviewedAt = Number.NEGATIVE_INFINITY;
  let sweptAt = Number.NEGATIVE_INFINITY;

  async function start(): Promise<number> {
    const row = await db.read.selectFrom('meta').select('value').where('key', '=', POSITION).executeTakeFirst();
    const head = await db.head();
    return row === undefined ? head : Math.min(Number(row.value), head);
  }

  async function save(now: number): Promise<void> {
    if (position === savedPosition || !isDueAgain(savedAt, SAVE_MS, now)) return;
    const value = String(position);
    await db.write((tx) =>
      tx
        .insertInto('meta')
        .values({ key: POSITION, value })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
        .execute(),
    );
    savedPosition = position;
    savedAt = now;
  }

  /** @returns true when there is more */
  async function follow(now: number): Promise<boolean> {
    position ??= await start();
    const head = await db.head();
    if (head === position) return false;
    const upTo = Math.min(head, position + PAGE);
    const rows = await db.read
      .selectFrom('events')
      .leftJoin('devices', 'devices.id', 'events.device_id')
      .select(['events.site_id', 'events.device_id', 'events.type', 'events.vendor_code', 'events.occurred_at'])
      .select(['events.changed', 'devices.type as device_type'])
      .where('events.seq', '>', position)
      .where('events.seq', '<=', upTo)
      // Who works on the supply of a panel switches it off; that it has power again is true all the same.
      .where((eb) => eb.or([eb('events.in_maintenance', '=', 0), eb('events.type', 'in', POWER_RESTORED_TYPES)]))
      .where('events.site_id', 'is not', null)
      .where((eb) =>
        eb.or([
          eb.and([eb('events.changed', '=', 1), eb('events.state', 'in', ['OFFLINE', 'UNKNOWN'])]),
          eb('events.type', 'in', POWER_TYPES),
        ]),
      )
      .orderBy('events.seq')
      .execute();
    const sites = new Set<string>();
    for (const row of rows) {
      if (row.site_id === null || row.device_id === null) continue;
      if (row.changed === 1) sites.add(row.site_id);
      const { type, vendor_code: vendorCode, device_type: deviceType } = row;
      const word = powerWordOf({ type, vendorCode, deviceType: deviceType ?? '' });
      if (word !== null) await power.told(row.site_id, row.device_id, word, row.occurred_at, now);
    }
    for (const siteId of sites) await power.look(siteId, now);
    position = upTo;
    return upTo < head;
  }

  async function settle(found: readonly Found[], now: number): Promise<void> {
    const groups = Map.groupBy(found, ({ integration_id: id }) => id);
    for (const [integrationId, devices] of groups) {
      const integration = await db.write(async (tx) => {
        await lockIntegration(db, tx, integrationId);
        const row = await tx.selectFrom('integrations').selectAll().where('id', '=', integrationId).executeTakeFirst();
        if (row === undefined) return null;
        const settled = await settleRootCauses(
          tx,
          row,
          devices.map(({ id }) => id),
          now,
        );
        if (settled.changes.size === 0 && settled.tellings.length === 0) return null;
        await tellIncidents(tx, writer, settled.tellings, now);
        await writer().tellStillDown(tx, row, settled.released, now);
        await bumpOrgRevision(tx, row.org_id, now);
        return row;
      });
      if (integration !== null) ringForEvents(db, integration);
    }
  }

  /** Roots that are back or gone without a change of state that told of it. */
  async function reviewRoots(now: number): Promise<void> {
    const rows = await db.read
      .selectFrom('incidents')
      .innerJoin('devices', 'devices.id', 'incidents.root_id')
      .selectAll('incidents')
      .select(['devices.removed_at', 'devices.integration_id', 'devices.native_id'])
      .where('incidents.closed_at', 'is', null)
      .where('incidents.cause', '=', 'DEVICE_DOWN')
      .where(
        sql<SqlBool>`(devices.removed_at is not null or (devices.state in ('ONLINE', 'DEGRADED') and devices.flapping = 0))`,
      )
      .limit(PORTION)
      .execute();
    const back = rows.filter(({ removed_at: at }) => at === null);
    await settle(
      back.map(({ root_id: id, integration_id }) => ({ id, integration_id })),
      now,
    );
    for (const { removed_at: removedAt, integration_id: integrationId, native_id: nativeId, ...incident } of rows) {
      if (removedAt === null) continue;
      const integration = await db.write(async (tx) => {
        await lockIntegration(db, tx, integrationId);
        const row = await tx.selectFrom('integrations').selectAll().where('id', '=', integrationId).executeTakeFirst();
        const at = await closeIncident(tx, incident, removedAt, now);
        if (row === undefined) return null;
        const where = { integration: row, nativeDeviceId: nativeId };
        const telling: Telling = { incidentId: incident.id, word: 'closed', where, at, mergedInto: null };
        await tellIncidents(tx, writer, [telling], now);
        await bumpOrgRevision(tx, row.org_id, now);
        return row;
      });
      if (integration !== null) ringForEvents(db, integration);
    }
  }

  /** Platforms that are away without an incident: the power of their site is back, and they are not. */
  async function reviewPlatforms(now: number): Promise<void> {
    const rows = await db.read
      .selectFrom('integrations')
      .leftJoin('incidents', (join) =>
        join.onRef('incidents.root_id', '=', 'integrations.id').on('incidents.closed_at', 'is', null),
      )
      .select(['integrations.id', 'integrations.enabled', 'integrations.error_code', 'integrations.silent_since'])
      .select('integrations.last_sync_state')
      .where('incidents.id', 'is', null)
      .where('integrations.enabled', '=', 1)
      .where((eb) =>
        eb.or([eb('integrations.error_code', 'is not', null), eb('integrations.silent_since', 'is not', null)]),
      )
      .limit(PORTION)
      .execute();
    for (const { id } of rows.filter(isPlatformDown)) {
      const integration = await db.write(async (tx) => {
        await lockIntegration(db, tx, id);
        const row = await tx.selectFrom('integrations').selectAll().where('id', '=', id).executeTakeFirst();
        const tellings = row === undefined ? [] : await settlePlatform(tx, row, now);
        if (row === undefined || tellings.length === 0) return null;
        await tellIncidents(tx, writer, tellings, now);
        await bumpOrgRevision(tx, row.org_id, now);
        return row;
      });
      if (integration !== null) ringForEvents(db, integration);
    }
  }

  /** What was left explained for a while after its cause was over. @returns true when there is more */
  async function endGrace(now: number): Promise<boolean> {
    const rows = await db.read
      .selectFrom('devices')
      .innerJoin('incidents', 'incidents.id', 'devices.incident_id')
      .select(['devices.id', 'devices.integration_id'])
      .where('devices.incident_id', 'is not', null)
      .where('devices.removed_at', 'is', null)
      .where('incidents.closed_at', 'is not', null)
      .where((eb) =>
        eb.or([
          eb.and([
            eb('incidents.cause', '=', 'SITE_POWER'),
            eb('incidents.updated_at', '<=', now - graceOf('SITE_POWER')),
          ]),
          eb.and([
            eb('incidents.cause', '<>', 'SITE_POWER'),
            eb('incidents.updated_at', '<=', now - graceOf('DEVICE_DOWN')),
          ]),
        ]),
      )
      .limit(PORTION)
      .execute();
    await settle(rows, now);
    return rows.length === PORTION;
  }

  /** Failed parents without an incident, devices that are up and still explained, and those that left a dark site. */
  async function sweep(now: number): Promise<void> {
    const parents = await db.read
      .selectFrom('devices')
      .select(['id', 'integration_id'])
      .where('state', '=', 'OFFLINE')
      .where('removed_at', 'is', null)
      .where('incident_id', 'is', null)
      .where(
        sql<SqlBool>`exists (select 1 from devices as child where child.parent_id = devices.id and child.removed_at is null)`,
      )
      .limit(PORTION)
      .execute();
    const up = await db.read
      .selectFrom('devices')
      .select(['id', 'integration_id'])
      .where('suppressed_by', 'is not', null)
      .where('state', '=', 'ONLINE')
      .where('removed_at', 'is', null)
      .limit(PORTION)
      .execute();
    const elsewhere = await db.read
      .selectFrom('devices')
      .innerJoin('incidents', 'incidents.id', 'devices.incident_id')
      .select(['devices.id', 'devices.integration_id'])
      .where('incidents.closed_at', 'is', null)
      .where('incidents.cause', '=', 'SITE_POWER')
      .where('devices.removed_at', 'is', null)
      .where((eb) =>
        eb.or([eb('devices.site_id', 'is', null), eb('devices.site_id', '<>', eb.ref('incidents.root_id'))]),
      )
      .limit(PORTION)
      .execute();
    await settle([...parents, ...up, ...elsewhere], now);
  }

  return {
    name: 'root causes',
    async run(now) {
      if (await follow(now)) return true;
      await save(now);
      if (!isDueAgain(reviewedAt, REVIEW_MS, now)) return false;
      await power.review(now);
      await reviewPlatforms(now);
      await reviewRoots(now);
      // What is left over has its turn at the next tick.
      if (!(await endGrace(now))) reviewedAt = now;
      if (isDueAgain(sweptAt, SWEEP_MS, now)) {
        await sweep(now);
        sweptAt = now;
      }
      return false;
    },
  };
}
