import { expect, it } from 'vitest';
import type { DeviceState } from '../../schema/words.ts';
import { eachEngine } from '../../storage/testing.ts';
import { putOnline, stateDraft } from '../fixtures/devices-online.ts';
import { createEventWriter, type EventWriter } from '../process/event-writer.ts';
import { addDevice, NOON, seed } from '../testing.ts';
import { createRootCauseHook } from './root-cause-hook.ts';

const CAMERAS = Array.from({ length: 64 }, (_, at) => `cam-${at}`);

eachEngine('root causes in the event writer', (open) => {
  async function start() {
    const db = await open();
    const seeded = await seed(db, { devices: [] });
    const { integration, siteId } = seeded;
    for (const name of ['rec', ...CAMERAS, 'lone']) await addDevice(db, integration, name, siteId);
    const events: EventWriter = createEventWriter({ db, onTransitions: createRootCauseHook(() => events) });
    await putOnline(db, NOON - 1_000, { 'cam-%': seeded.device('rec') });

    return {
      db,
      orgId: seeded.orgId,
      integration,
      siteId,
      device: (name: string) => seeded.device(name),
      tell: (at: number, state: DeviceState, ...names: readonly string[]) =>
        db.write((tx) =>
          events.writeEvents(
            tx,
            integration,
            names.map((name) => stateDraft(name, state, at)),
            'WEBHOOK',
            at,
          ),
        ),
      incidents: () => db.read.selectFrom('incidents').selectAll().orderBy('opened_at').execute(),
      explained: () =>
        db.read.selectFrom('devices').selectAll().where('suppressed_by', 'is not', null).orderBy('id').execute(),
      log: () => db.read.selectFrom('events').selectAll().orderBy('seq').execute(),
    };
  }

  it('marks 64 cameras of a dead recorder and their events, tells of one incident, and clears all when it is back', async () => {
    const { db, tell, incidents, explained, log, device, orgId, siteId } = await start();
    const revision = async () =>
      (await db.read.selectFrom('orgs').select('revision').where('id', '=', orgId).executeTakeFirstOrThrow()).revision;
    const before = await revision();
    await tell(NOON, 'OFFLINE', 'rec');
    await tell(NOON + 5_000, 'OFFLINE', ...CAMERAS, 'lone');
    expect(await revision()).toBeGreaterThan(before);
    const [incident, ...others] = await incidents();
    expect(others).toEqual([]);
    expect(incident).toMatchObject({
      cause: 'DEVICE_DOWN',
      root_kind: 'DEVICE',
      root_id: device('rec'),
      org_id: orgId,
      site_id: siteId,
      affected: 64,
      opened_at: NOON,
      closed_at: null,
    });
    const hidden = await explained();
    expect(hidden.map(({ id }) => id)).toEqual(CAMERAS.map((name) => device(name)).toSorted());
    expect(new Set(hidden.map(({ suppressed_by: by, incident_id: id }) => `${by} ${id}`))).toEqual(
      new Set([`${device('rec')} ${incident?.id}`]),
    );
    const lines = await log();
    expect(lines.filter(({ suppressed }) => suppressed === 1)).toHaveLength(64);
    expect(lines.find(({ device_id: id }) => id === device('lone'))).toMatchObject({
      suppressed: 0,
      incident_id: null,
    });
    expect(lines.filter(({ type }) => type === 'incident.opened')).toMatchObject([
      { family: 'SYSTEM', device_id: device('rec'), site_id: siteId, suppressed: 0 },
    ]);

    await tell(NOON + 60_000, 'ONLINE', 'rec');
    await tell(NOON + 70_000, 'ONLINE', ...CAMERAS);
    expect(await explained()).toEqual([]);
    expect(await incidents()).toMatchObject([{ closed_at: NOON + 60_000, affected: 64 }]);
    const all = await log();
    expect(all.filter(({ type }) => type === 'incident.closed')).toHaveLength(1);
    const back = all.filter(({ type }) => type === 'health.online');
    expect(back.filter(({ suppressed }) => suppressed === 0).map(({ device_id: id }) => id)).toEqual([device('rec')]);
  });

  it('tells of a camera that is back whose failure it had told of', async () => {
    const { tell, explained, log, device } = await start();
    await tell(NOON, 'OFFLINE', 'cam-1');
    await tell(NOON + 5_000, 'OFFLINE', 'rec');
    expect((await explained()).map(({ id }) => id)).toEqual([device('cam-1')]);
    await tell(NOON + 60_000, 'ONLINE', 'rec', 'cam-1');
    const own = (await log()).filter(({ device_id: id, type }) => id === device('cam-1') && type.startsWith('health'));
    expect(own).toMatchObject([
      { type: 'health.offline', suppressed: 0 },
      { type: 'health.online', suppressed: 0 },
    ]);
  });

  it('goes on with the incident of a recorder that falls again at once', async () => {
    const { tell, incidents, log } = await start();
    await tell(NOON, 'OFFLINE', 'rec');
    await tell(NOON + 20_000, 'ONLINE', 'rec');
    await tell(NOON + 40_000, 'OFFLINE', 'rec');
    expect(await incidents()).toMatchObject([{ opened_at: NOON, closed_at: null }]);
    const told = (await log()).filter(({ family }) => family === 'SYSTEM').map(({ type }) => type);
    expect(told).toEqual(['incident.opened', 'incident.closed', 'incident.opened']);
  });

  it('takes everything back when the transaction fails', async () => {
    const { db, integration, incidents, device } = await start();
    const events: EventWriter = createEventWriter({
      db,
      onTransitions: createRootCauseHook(() => events),
      follow: () => Promise.reject(new RangeError('the disk is gone')),
    });
    const fall = stateDraft('rec', 'OFFLINE', NOON);
    await expect(db.write((tx) => events.writeEvents(tx, integration, [fall], 'WEBHOOK', NOON))).rejects.toThrow(
      'the disk is gone',
    );
    expect(await incidents()).toEqual([]);
    const row = await db.read.selectFrom('devices').selectAll().where('id', '=', device('rec')).executeTakeFirst();
    expect(row).toMatchObject({ state: 'ONLINE', incident_id: null });
  });
});
