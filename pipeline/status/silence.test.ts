import { expect, it } from 'vitest';
import { deviceId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { stateDraft } from '../fixtures/devices-online.ts';
import { createEventWriter } from '../process/event-writer.ts';
import { NOON, seed } from '../testing.ts';
import { createSilenceJob } from './silence.ts';

const HOUR = 3_600_000;
const LIMIT = 3 * HOUR;

eachEngine('silence of devices', (open) => {
  async function start() {
    const db = await open();
    const { integration } = await seed(db);
    const events = createEventWriter({ db, silence: { silenceLimitOf: () => LIMIT, note: () => {} } });
    const job = createSilenceJob({ db, writer: () => events });
    const check = (at: number, name: string, isLifeSign = true) =>
      stateDraft(name, isLifeSign ? 'ONLINE' : 'OFFLINE', at, {
        family: 'SUPERVISION',
        type: 'supervision.last_seen',
        severity: 'INFO',
      });
    return {
      db,
      job,
      integration,
      hear: (at: number, ...names: readonly string[]) =>
        db.write((tx) =>
          events.writeEvents(
            tx,
            integration,
            names.map((name) => check(at, name)),
            'WEBHOOK',
            at,
          ),
        ),
      fall: (at: number, name: string) =>
        db.write((tx) => events.writeEvents(tx, integration, [check(at, name, false)], 'WEBHOOK', at)),
      row: (name: string) =>
        db.read
          .selectFrom('devices')
          .selectAll()
          .where('id', '=', deviceId(integration.id, name))
          .executeTakeFirstOrThrow(),
      silent: () => db.read.selectFrom('events').selectAll().where('type', '=', 'health.silent').execute(),
    };
  }

  it('is unknown with its reason, said once, until the device is heard again', async () => {
    const { job, hear, row, silent, integration } = await start();
    await hear(NOON, 'cam-1', 'cam-2');
    await hear(NOON + HOUR, 'cam-2');
    await job.run(NOON + LIMIT - 1);
    expect(await silent()).toEqual([]);
    await job.run(NOON + LIMIT);
    await job.run(NOON + LIMIT + 1_000);
    expect(await silent()).toMatchObject([
      {
        device_id: deviceId(integration.id, 'cam-1'),
        family: 'HEALTH',
        origin: 'SILENCE',
        state: 'UNKNOWN',
        state_reason: 'SILENCE',
        previous_state: 'ONLINE',
        changed: 1,
        occurred_at: NOON + LIMIT,
      },
    ]);
    expect(await row('cam-1')).toMatchObject({ state: 'UNKNOWN', state_reason: 'SILENCE', silence_due_at: null });
    expect(await row('cam-2')).toMatchObject({ state: 'ONLINE', silence_due_at: NOON + HOUR + LIMIT });
    await hear(NOON + 10 * HOUR, 'cam-1');
    expect(await row('cam-1')).toMatchObject({ state: 'ONLINE', silence_due_at: NOON + 10 * HOUR + LIMIT });
  });

  it('is seen in lists where no site of ours is the device’s, and said nowhere', async () => {
    const { db, job, hear, row, silent } = await start();
    await hear(NOON, 'cam-1', 'cam-2');
    await db.write((tx) => tx.updateTable('devices').set({ site_id: null }).where('native_id', '=', 'cam-1').execute());
    const revision = async () =>
      (await db.read.selectFrom('orgs').select('revision').where('id', '=', 'org_a').executeTakeFirstOrThrow())
        .revision;
    const before = await revision();
    await job.run(NOON + LIMIT);
    expect((await silent()).map((event) => event.device_id)).toEqual([(await row('cam-2')).id]);
    const { id, evidence, ...silenced } = await row('cam-1');
    expect(silenced).toMatchObject({
      state: 'UNKNOWN',
      state_reason: 'SILENCE',
      state_since: NOON + LIMIT,
      silence_due_at: null,
    });
    expect(JSON.parse(evidence)).toMatchObject([
      { source: 'SILENCE', state: 'UNKNOWN', observedAt: NOON + LIMIT },
      { source: 'WEBHOOK', state: 'ONLINE' },
    ]);
    const segments = db.read.selectFrom('status_segments').selectAll().where('device_id', '=', id).orderBy('from_at');
    expect(await segments.execute()).toMatchObject([
      { state: 'UNKNOWN', reason: null, to_at: NOON },
      { state: 'ONLINE', from_at: NOON, to_at: NOON + LIMIT },
      { state: 'UNKNOWN', reason: 'SILENCE', from_at: NOON + LIMIT, to_at: null },
    ]);
    expect(await revision()).toBeGreaterThan(before);
  });

  it('moves what readers see where all that are silent have no site', async () => {
    const { db, job, hear } = await start();
    await hear(NOON, 'cam-1');
    await db.write((tx) => tx.updateTable('devices').set({ site_id: null }).execute());
    const org = () => db.read.selectFrom('orgs').select('revision').where('id', '=', 'org_a').executeTakeFirstOrThrow();
    const { revision } = await org();
    await job.run(NOON + LIMIT);
    expect((await org()).revision).toBe(revision + 1);
    await job.run(NOON + LIMIT + 1_000);
    expect((await org()).revision).toBe(revision + 1);
  });

  it('says nothing new of a device that is down', async () => {
    const { job, hear, fall, row, silent } = await start();
    await hear(NOON, 'cam-1');
    await fall(NOON + 1_000, 'cam-1');
    await job.run(NOON + LIMIT);
    expect(await silent()).toEqual([]);
    expect(await row('cam-1')).toMatchObject({ state: 'OFFLINE' });
  });

  it('is not judged while the whole platform cannot be heard, and waited for anew', async () => {
    const { db, job, hear, row, silent } = await start();
    await hear(NOON, 'cam-1');
    await db.write((tx) => tx.updateTable('integrations').set({ error_code: 'UNREACHABLE' }).execute());
    await job.run(NOON + LIMIT);
    expect(await silent()).toEqual([]);
    expect(await row('cam-1')).toMatchObject({ state: 'ONLINE', silence_due_at: NOON + 2 * LIMIT });
    await db.write((tx) => tx.updateTable('integrations').set({ error_code: null }).execute());
    await job.run(NOON + 2 * LIMIT);
    expect(await silent()).toHaveLength(1);
  });
});
