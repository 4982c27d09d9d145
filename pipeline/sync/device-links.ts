import type { Database, Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { DeviceRecord } from './device-record.ts';

interface WriteContext {
  readonly db: Database;
  readonly integration: Pick<IntegrationRow, 'org_id'>;
}

/** How devices that are new name others. */
export async function insertLinks(
  tx: Tx,
  { db, integration }: WriteContext,
  records: readonly DeviceRecord[],
): Promise<void> {
  const rows = records.flatMap(({ id, links }) =>
    links.map(({ relation, integrationId, namespace, value }) => [
      id,
      integration.org_id,
      relation,
      integrationId,
      namespace,
      value,
    ]),
  );
  if (rows.length === 0) return;
  await db.bulkInsert(tx, {
    table: 'device_links',
    columns: ['device_id', 'org_id', 'relation', 'integration_id', 'namespace', 'value'],
    rows,
    onConflictDoNothing: true,
  });
}

/** The same for devices whose listing is another one than before. */
export async function replaceLinks(tx: Tx, context: WriteContext, records: readonly DeviceRecord[]): Promise<void> {
  if (records.length === 0) return;
  await tx
    .deleteFrom('device_links')
    .where(
      'device_id',
      'in',
      records.map(({ id }) => id),
    )
    .execute();
  await insertLinks(tx, context, records);
}
