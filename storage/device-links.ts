import { type Kysely, sql } from 'kysely';
import type { DeviceRelation } from '../schema/words.ts';
import type { Tables } from './tables.ts';

/** A device and another one that belongs to it. */
export interface DeviceLinkRow {
  readonly device_id: string;
  /** What the device is to the other one. */
  readonly relation: DeviceRelation;
  readonly other_id: string;
}

/** Links told of one device: a camera may be named by many sensors, and nobody reads more of them in one answer. */
export const MAX_LINKS_PER_DEVICE = 500;

/** Ids in one statement: below the parameter limits of both engines. */
const CHUNK = 5_000;

const OPPOSITE: Readonly<Record<DeviceRelation, DeviceRelation>> = { WATCHES: 'WATCHED_BY', WATCHED_BY: 'WATCHES' };

type Reader = Pick<Kysely<Tables>, 'selectFrom'> & Parameters<ReturnType<typeof sql>['execute']>[0];

interface Candidate extends DeviceLinkRow {
  readonly integration_id: string;
  readonly namespace: string;
  readonly value: string;
}

/** What these devices name, resolved as of now. A name that several devices answer to is nobody's: we never guess. */
async function resolveForward(read: Reader, all: readonly string[]): Promise<readonly DeviceLinkRow[]> {
  const found: DeviceLinkRow[] = [];
  for (let from = 0; from < all.length; from += CHUNK) {
    found.push(...(await resolveChunk(read, all.slice(from, from + CHUNK))));
  }
  return found;
}

async function resolveChunk(read: Reader, ids: readonly string[]): Promise<readonly DeviceLinkRow[]> {
  const list = sql.join(ids);
  const { rows } = await sql<Candidate>`
    select links.device_id, links.relation, links.integration_id, links.namespace, links.value, others.id as other_id
    from device_links as links
      join integrations on integrations.org_id = links.org_id
        and (links.integration_id = '' or integrations.id = links.integration_id)
      join devices as others on others.integration_id = integrations.id and others.native_id = links.value
    where links.device_id in (${list}) and links.namespace = '' and others.removed_at is null
    union all
    select links.device_id, links.relation, links.integration_id, links.namespace, links.value, others.id as other_id
    from device_links as links
      join external_ids on external_ids.namespace = links.namespace and external_ids.value = links.value
        and external_ids.org_id = links.org_id and external_ids.owner_kind = 'device'
      join devices as others on others.id = external_ids.owner_id
        and (links.integration_id = '' or others.integration_id = links.integration_id)
    where links.device_id in (${list}) and links.namespace <> '' and others.removed_at is null`.execute(read);
  const byName = Map.groupBy(rows, ({ device_id, relation, integration_id, namespace, value }) =>
    JSON.stringify([device_id, relation, integration_id, namespace, value]),
  );
  return [...byName.values()].flatMap((candidates) => {
    const [first] = candidates;
    const isOne = new Set(candidates.map(({ other_id: id }) => id)).size === 1;
    return first === undefined || !isOne || first.other_id === first.device_id ? [] : [first];
  });
}

/** Devices that name one of these, as far as their names can be looked up. */
async function findNaming(read: Reader, ids: readonly string[]): Promise<readonly string[]> {
  const list = sql.join(ids);
  const most = ids.length * MAX_LINKS_PER_DEVICE;
  const { rows } = await sql<{ device_id: string }>`
    select links.device_id from devices as named
      join device_links as links on links.value = named.native_id and links.namespace = ''
        and links.org_id = named.org_id and (links.integration_id = '' or links.integration_id = named.integration_id)
    where named.id in (${list})
    union
    select links.device_id from external_ids
      join device_links as links on links.value = external_ids.value and links.namespace = external_ids.namespace
        and links.org_id = external_ids.org_id
    where external_ids.owner_kind = 'device' and external_ids.owner_id in (${list})
    limit ${most}`.execute(read);
  return rows.map(({ device_id: id }) => id);
}

/**
 * Links of these devices in both directions, whoever of the two named the other, each pair and relation once. Devices
 * that were removed have none. No scope: what a principal may see of it is its caller's to decide.
 */
export async function readDeviceLinks(read: Reader, deviceIds: readonly string[]): Promise<readonly DeviceLinkRow[]> {
  if (deviceIds.length === 0) return [];
  const asked = new Set(deviceIds);
  const naming = (await findNaming(read, deviceIds)).filter((id) => !asked.has(id));
  const present = await presentAmong(read, [...asked, ...naming]);
  const forward = await resolveForward(read, present);
  const links = new Map<string, DeviceLinkRow>();
  for (const { device_id, relation, other_id } of forward) {
    const both = [
      { device_id, relation, other_id },
      { device_id: other_id, relation: OPPOSITE[relation], other_id: device_id },
    ];
    for (const link of both) {
      if (asked.has(link.device_id)) links.set(`${link.device_id} ${link.relation} ${link.other_id}`, link);
    }
  }
  const inOrder = [...links].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, link]) => link);
  return [...Map.groupBy(inOrder, ({ device_id: id }) => id).values()].flatMap((own) =>
    own.slice(0, MAX_LINKS_PER_DEVICE),
  );
}

async function presentAmong(read: Reader, ids: readonly string[]): Promise<readonly string[]> {
  const present: string[] = [];
  for (let from = 0; from < ids.length; from += CHUNK) {
    const rows = await read
      .selectFrom('devices')
      .select('id')
      .where('id', 'in', ids.slice(from, from + CHUNK))
      .where('removed_at', 'is', null)
      .execute();
    present.push(...rows.map(({ id }) => id));
  }
  return present;
}
