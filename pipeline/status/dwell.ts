import type { Database } from '../../storage/database.ts';
import { type EventWriter, ringForEvents } from '../process/event-writer.ts';
import type { StatusJob } from './keeper.ts';

/** Devices of one run: some 20 ms of writing. */
const DEVICES = 500;
/** Devices of one transaction: whoever waits to write has its turn in between. */
const PER_TRANSACTION = 200;

/** Makes outages effective that have lasted as long as their policy says, and lets flapping end that has stopped. */
export function createDwellJob({
  db,
  writer,
}: {
  readonly db: Database;
  readonly writer: Pick<EventWriter, 'settleDevices'>;
}): StatusJob {
  return {
    name: 'outages that last and flapping that ends',
    async run(now) {
      // Each half has an index of its own; together they would have none.
      const pending = await dueBy(db, 'pending_until', now);
      const flapping = await dueBy(db, 'flap_until', now);
      const due = new Map([...pending, ...flapping].map((device) => [device.id, device]));
      for (const [integrationId, devices] of Map.groupBy(due.values(), (device) => device.integration_id)) {
        const integration = await db.read
          .selectFrom('integrations')
          .selectAll()
          .where('id', '=', integrationId)
          .executeTakeFirst();
        if (integration === undefined) continue;
        const ids = devices.map(({ id }) => id).toSorted();
        for (let from = 0; from < ids.length; from += PER_TRANSACTION) {
          const some = ids.slice(from, from + PER_TRANSACTION);
          await db.write((tx) => writer.settleDevices(tx, integration, some, now));
        }
        ringForEvents(db, integration);
      }
      return pending.length === DEVICES || flapping.length === DEVICES;
    },
  };
}

/** Of integrations that exist: what belongs to none can never be settled. */
async function dueBy(db: Database, column: 'pending_until' | 'flap_until', now: number) {
  return db.read
    .selectFrom('devices')
    .innerJoin('integrations', 'integrations.id', 'devices.integration_id')
    .select(['devices.id', 'devices.integration_id'])
    .where(`devices.${column}`, '<=', now)
    .orderBy(`devices.${column}`)
    .limit(DEVICES)
    .execute();
}
