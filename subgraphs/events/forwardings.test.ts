import { expect, it } from 'vitest';
import { createDeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { createLogTail } from '../../pipeline/stream/log-tail.ts';
import { acme, NOON, quiet } from '../../pipeline/testing.ts';
import { enqueueCustomEvents } from '../../pipeline/custom-events/enqueue.ts';
import { createEventWriter } from '../../pipeline/process/event-writer.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { deviceRow, insertFixture, integrationRow, orgRow, siteRow } from '../../storage/fixtures/directory-rows.ts';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { createEventsSubgraph } from './index.ts';

const near = siteRow('site_near', 'org_a');
const far = siteRow('site_far', 'org_a');
const sensors = integrationRow('int_sensors', 'org_a');
const vms = integrationRow('int_vms', 'org_a');
const CAMERA = { site_id: near.id, capabilities: '["CUSTOM_EVENT","EMITS_VIDEO"]' };
const CAMERAS = ['cam-1', 'cam-2', 'cam-3', 'cam-4'];
const ids = CAMERAS.map((camera) => deviceId(vms.id, camera));

async function seed(db: Database): Promise<void> {
  await insertFixture(db, {
    orgs: [orgRow('org_a')],
    sites: [near, far],
    integrations: [sensors, vms],
    devices: [
      deviceRow(sensors, 'leak-1', { site_id: near.id, type: 'SENSOR' }),
      ...CAMERAS.map((camera) => deviceRow(vms, camera, camera === 'cam-4' ? { ...CAMERA, site_id: far.id } : CAMERA)),
    ],
  });
  const links = CAMERAS.map((value) => ({
    device_id: deviceId(sensors.id, 'leak-1'),
    org_id: 'org_a',
    relation: 'WATCHED_BY',
    integration_id: '',
    namespace: '',
    value,
  }));
  await db.write((tx) => tx.insertInto('device_links').values(links).execute());
  const events = createEventWriter({ db, follow: enqueueCustomEvents });
  const draft = (type: string, family: 'SENSOR' | 'HEALTH') => ({
    vendorEventId: type,
    family,
    type,
    vendorCode: null,
    severity: 'CRITICAL' as const,
    occurredAt: new Date(NOON),
    nativeOrgId: null,
    nativeSiteId: null,
    nativeDeviceId: 'leak-1',
    claim: null,
    isLifeSign: true,
    summary: type,
    details: {},
    raw: null,
  });
  await db.write((tx) =>
    events.writeEvents(
      tx,
      sensors,
      [draft('alarm.water_leak', 'SENSOR'), draft('health.reported', 'HEALTH')],
      'STREAM',
      NOON,
    ),
  );
  const settle = (target: string | undefined, values: object) =>
    db.write((tx) =>
      tx
        .updateTable('custom_events')
        .set(values)
        .where('target_device_id', '=', target ?? '')
        .execute(),
    );
  await settle(ids[0], { state: 'DONE', attempts: 1, settled_at: NOON + 1_000 });
  const refused = { error_code: 'FORBIDDEN', error_message: 'the token may not trigger' };
  await settle(ids[1], { state: 'FAILED', attempts: 1, settled_at: NOON + 2_000, ...refused });
  const silent = { error_code: 'TIMEOUT', error_message: 'no answer' };
  await settle(ids[2], { attempts: 3, is_uncertain: 1, ...silent });
}

function subgraphOf(db: Database) {
  const processor = createProcessor({ db, vendors: [acme], logger: quiet, now: () => NOON });
  const services = {
    db,
    cursors: createCursorCodec(Buffer.alloc(32, 5)),
    tail: createLogTail({ db, logger: quiet }),
    deadLetters: createDeadLetters({ db, processor }),
    now: () => NOON,
  };
  return createEventsSubgraph(services, [acme]);
}

const QUERY = `{ events { nodes { type forwardings {
  device { id } state attempts uncertain error { code message } queuedAt settledAt } } } }`;
const at = (ms: number) => new Date(NOON + ms).toISOString();

eachEngine('where an event of a sensor is passed on to', (open) => {
  it('is told camera by camera: what is done, what failed and why, what waits', async () => {
    const db = await open();
    await seed(db);
    const { data, errors } = await ask(subgraphOf(db), principal({}), QUERY);
    expect(errors).toEqual([]);
    const [leak] = data.events.nodes.filter(({ type }: { type: string }) => type === 'alarm.water_leak');
    const byCamera = new Map(leak.forwardings.map((each: { device: { id: string } }) => [each.device.id, each]));
    const queuedAt = at(0);
    expect(ids.map((id) => byCamera.get(id))).toEqual([
      {
        device: { id: ids[0] },
        state: 'DONE',
        attempts: 1,
        uncertain: false,
        error: null,
        queuedAt,
        settledAt: at(1_000),
      },
      {
        device: { id: ids[1] },
        state: 'FAILED',
        attempts: 1,
        uncertain: false,
        error: { code: 'FORBIDDEN', message: 'the token may not trigger' },
        queuedAt,
        settledAt: at(2_000),
      },
      {
        device: { id: ids[2] },
        state: 'PENDING',
        attempts: 3,
        uncertain: true,
        error: { code: 'TIMEOUT', message: 'no answer' },
        queuedAt,
        settledAt: null,
      },
      {
        device: { id: ids[3] },
        state: 'PENDING',
        attempts: 0,
        uncertain: false,
        error: null,
        queuedAt,
        settledAt: null,
      },
    ]);
    const [health] = data.events.nodes.filter(({ type }: { type: string }) => type === 'health.reported');
    expect(health.forwardings).toEqual([]);
  });

  it('names no camera outside of the scope', async () => {
    const db = await open();
    await seed(db);
    const { data } = await ask(subgraphOf(db), principal({ siteIds: [near.id] }), QUERY);
    const seen = data.events.nodes.flatMap((node: { forwardings: { device: { id: string } }[] }) =>
      node.forwardings.map(({ device }) => device.id),
    );
    expect(seen.toSorted()).toEqual(ids.slice(0, 3).toSorted());
  });
});
