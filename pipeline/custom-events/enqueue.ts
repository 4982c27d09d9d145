import { createHash } from 'node:crypto';
import { z } from 'zod';
import {
  type DeviceCapability,
  DEVICE_TYPES,
  EVENT_FAMILIES,
  type EventFamily,
  SEVERITIES,
} from '../../schema/words.ts';
import { readDeviceLinks } from '../../storage/device-links.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { eventId } from '../../storage/ids.ts';
import type { EventRow, IntegrationRow } from '../../storage/rows.ts';

/** Events that a camera's own timeline should have; health and bookkeeping are not among them. */
const TOLD: ReadonlySet<string> = new Set<EventFamily>(['SENSOR', 'ALARM', 'ACCESS']);
const CAPABLE: DeviceCapability = 'CUSTOM_EVENT';
const CHUNK = 500;

/** What the outbox keeps of an event; the rest of a `CustomEventDraft` belongs to the attempt. */
export const StoredPayload = z.object({
  eventId: z.string(),
  family: z.enum(EVENT_FAMILIES),
  type: z.string(),
  severity: z.enum(SEVERITIES),
  occurredAt: z.number(),
  summary: z.string(),
  source: z.object({ deviceId: z.string(), name: z.string(), type: z.enum(DEVICE_TYPES) }),
  metadata: z.unknown(),
});
export type StoredPayload = z.infer<typeof StoredPayload>;

const Details = z.looseObject({ metadata: z.unknown().optional() });
const Capabilities = z.array(z.string());

function outboxId(key: Uint8Array, targetId: string): string {
  return `cev_${createHash('sha256').update(key).update('\0').update(targetId).digest('hex').slice(0, 24)}`;
}

interface Device {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly integration_id: string;
  readonly isCapable: boolean;
}

async function readDevices(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, Device>> {
  const found = new Map<string, Device>();
  for (let from = 0; from < ids.length; from += CHUNK) {
    const rows = await tx
      .selectFrom('devices')
      .select(['id', 'name', 'type', 'integration_id', 'capabilities'])
      .where('id', 'in', ids.slice(from, from + CHUNK))
      .execute();
    for (const { capabilities, ...row } of rows) {
      found.set(row.id, { ...row, isCapable: Capabilities.parse(JSON.parse(capabilities)).includes(CAPABLE) });
    }
  }
  return found;
}

/** The sensor's own members as they came; without any, everything that the event says. */
function metadataOf(details: string): unknown {
  const parsed = Details.parse(JSON.parse(details));
  return parsed.metadata ?? parsed;
}

/**
 * Puts an event of a device into the outbox for every camera that watches it and whose platform takes events of others, in
 * the transaction that logs the event: there is either both or neither. The same event and camera are one entry.
 *
 * @param rows events that are new
 */
export async function enqueueCustomEvents(
  db: Database,
  tx: Tx,
  integration: IntegrationRow,
  rows: readonly Omit<EventRow, 'seq'>[],
): Promise<void> {
  const told = rows.filter(({ family, device_id: id }) => id !== null && TOLD.has(family));
  const sources = [...new Set(told.flatMap(({ device_id: id }) => id ?? []))];
  if (sources.length === 0) return;
  const links = (await readDeviceLinks(tx, sources)).filter(({ relation }) => relation === 'WATCHED_BY');
  if (links.length === 0) return;
  const devices = await readDevices(tx, [...new Set(links.flatMap((link) => [link.device_id, link.other_id]))]);
  const targets = Map.groupBy(links, ({ device_id: id }) => id);

  const entries = told.flatMap((row) => {
    const source = devices.get(row.device_id ?? '');
    // What a camera's platform tells of the camera is there already; passing it on to other cameras could go in circles.
    if (source === undefined || source.isCapable) return [];
    const payload: StoredPayload = {
      eventId: eventId(row.key),
      family: EVENT_FAMILIES.find((family) => family === row.family) ?? 'SENSOR',
      type: row.type,
      severity: SEVERITIES[row.severity] ?? 'INFO',
      occurredAt: row.occurred_at,
      summary: row.summary,
      source: {
        deviceId: source.id,
        name: source.name,
        type: DEVICE_TYPES.find((type) => type === source.type) ?? 'OTHER',
      },
      metadata: metadataOf(row.details),
    };
    const text = JSON.stringify(payload);
    return (targets.get(source.id) ?? []).flatMap(({ other_id: id }) => {
      const target = devices.get(id);
      if (target === undefined || !target.isCapable) return [];
      const at = row.received_at;
      return [
        [
          outboxId(row.key, id),
          integration.org_id,
          row.key,
          source.id,
          id,
          target.integration_id,
          text,
          'PENDING',
          0,
          0,
          at,
          at,
        ],
      ];
    });
  });
  if (entries.length === 0) return;
  await db.bulkInsert(tx, {
    table: 'custom_events',
    columns: [
      'id',
      'org_id',
      'event_key',
      'source_device_id',
      'target_device_id',
      'target_integration_id',
      'payload',
      'state',
      'attempts',
      'is_uncertain',
      'next_attempt_at',
      'created_at',
    ],
    rows: entries,
    onConflictDoNothing: true,
  });
}
