import type { Tx } from '../../storage/database.ts';
import { newId } from '../../storage/ids.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { closeIncident, openIncident, type Telling } from './incidents.ts';
import { isPlatformDown } from './outages.ts';
import { REOPEN_MS } from './root-cause.ts';

/** Whether the integration belongs to a site whose power is gone: the platform stands there, and went with it. */
async function isWithoutPower(tx: Tx, integrationId: string): Promise<boolean> {
  const bound = await tx
    .selectFrom('site_bindings')
    .leftJoin('incidents', (join) =>
      join.onRef('incidents.root_id', '=', 'site_bindings.site_id').on('incidents.closed_at', 'is', null),
    )
    .select(['site_bindings.site_id', 'incidents.id as incident_id'])
    .where('site_bindings.integration_id', '=', integrationId)
    .execute();
  const sites = new Set(bound.map(({ site_id: id }) => id));
  return sites.size === 1 && bound.some(({ incident_id: id }) => id !== null);
}

async function countDevices(tx: Tx, integrationId: string): Promise<number> {
  const { total } = await tx
    .selectFrom('devices')
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .where('integration_id', '=', integrationId)
    .where('removed_at', 'is', null)
    .executeTakeFirstOrThrow();
  return total;
}

/**
 * Opens or ends the incident of a platform that is away, as the integration's row says. Its devices keep their last state,
 * which grows old; what falls while it is away is explained by it. The caller holds the row and tells when all else is
 * written.
 *
 * @param now milliseconds since the epoch
 */
export async function settlePlatform(tx: Tx, integration: IntegrationRow, now: number): Promise<readonly Telling[]> {
  const where = { integration };
  const known = await tx
    .selectFrom('incidents')
    .selectAll()
    .where('root_id', '=', integration.id)
    .where('closed_at', 'is', null)
    .executeTakeFirst();
  const isDown = isPlatformDown(integration);
  if (known !== undefined) {
    if (isDown) return [];
    const at = await closeIncident(tx, known, now, now);
    return [{ incidentId: known.id, word: 'closed', where, at, mergedInto: null }];
  }
  if (!isDown || (await isWithoutPower(tx, integration.id))) return [];
  const ended = await tx
    .selectFrom('incidents')
    .selectAll()
    .where('root_id', '=', integration.id)
    .where('closed_at', '>=', now - REOPEN_MS)
    .orderBy('closed_at', 'desc')
    .executeTakeFirst();
  const incident = ended ?? {
    id: newId('inc'),
    org_id: integration.org_id,
    site_id: null,
    root_kind: 'INTEGRATION',
    root_id: integration.id,
    cause: 'PLATFORM_DOWN',
    summary: `The platform of ${integration.name} is away`,
    opened_at: now,
    details: '{}',
  };
  // All of its devices at once; one that comes and goes is not counted again.
  const affected = ended === undefined ? await countDevices(tx, integration.id) : 0;
  await openIncident(tx, { ...incident, closed_at: null, affected, updated_at: now });
  return [{ incidentId: incident.id, word: 'opened', where, at: now, mergedInto: null }];
}
