import { expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { deviceId } from '../../storage/ids.ts';
import { saveStatusPolicy } from '../../storage/status-policies.ts';
import { eachEngine } from '../../storage/testing.ts';
import { ManualClock } from '../integrations/testing.ts';
import { createEventWriter } from '../process/event-writer.ts';
import { acme, addDevice, NOON, quiet, seed } from '../testing.ts';
import { createRhythms } from './rhythms.ts';
import { createSilenceJob } from './silence.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const SIGNS = 60;
/** Its listings say no state. */
const vendor = { slug: acme.slug, ingest: { ...acme.ingest, staleAfterMs: 48 * HOUR } };

/** One that speaks all the time, one that reports by the clock, one that is rarely heard. */
const CLASSES = [
  { name: 'camera', type: 'CAMERA', everyMs: SECOND },
  { name: 'bridge', type: 'BRIDGE', everyMs: HOUR },
  { name: 'pir', type: 'DETECTOR', everyMs: DAY },
] as const;

eachEngine('three classes of devices', (open) => {
  async function start(policySilenceMs: number | null = null) {
    const db = await open();
    const { integration, siteId, orgId } = await seed(db, { devices: [] });
    for (const { name, type } of CLASSES) {
      await addDevice(db, integration, name, siteId);
      await db.write((tx) => tx.updateTable('devices').set({ type }).where('native_id', '=', name).execute());
    }
    if (policySilenceMs !== null) {
      const values = { offlineDwellMs: null, flapChanges: null, flapWindowMs: null, silenceMs: policySilenceMs };
      const place = { orgId, siteId: null, deviceType: 'DETECTOR', deviceId: null };
      await db.write((tx) => saveStatusPolicy(tx, place, values, NOON));
    }
    const rhythms = createRhythms({ db, vendors: [vendor], clock: new ManualClock(), logger: quiet });
    await rhythms.start();
    const writer = createEventWriter({ db, silence: rhythms });
    const job = createSilenceJob({ db, writer: () => writer });
    const sign = (nativeDeviceId: string, at: number): EventDraft => ({
      vendorEventId: null,
      family: 'SUPERVISION',
      type: 'supervision.last_seen',
      vendorCode: null,
      severity: 'INFO',
      occurredAt: new Date(at),
      nativeOrgId: null,
      nativeSiteId: null,
      nativeDeviceId,
      claim: { state: 'ONLINE', reason: 'REPORTED', vendorState: null, observedAt: null },
      isLifeSign: true,
      summary: 'routine check',
      details: {},
      raw: null,
    });
    const hear = (drafts: readonly EventDraft[]) =>
      db.write((tx) => writer.writeEvents(tx, integration, drafts, 'WEBHOOK', NOON));
    for (const { name, everyMs } of CLASSES) {
      await hear(Array.from({ length: SIGNS }, (_, at) => sign(name, NOON - (SIGNS - at) * everyMs)));
    }
    await rhythms.flush();
    // The last that is heard of any.
    await hear(CLASSES.map(({ name }) => sign(name, NOON)));
    await rhythms.stop();
    return {
      /** Who is silent so long after the last sign of life. */
      silentAfter: async (ms: number) => {
        await job.run(NOON + ms);
        const rows = await db.read.selectFrom('devices').select('id').where('state_reason', '=', 'SILENCE').execute();
        const ids = new Set(rows.map(({ id }) => id));
        return CLASSES.filter(({ name }) => ids.has(deviceId(integration.id, name))).map(({ name }) => name);
      },
    };
  }

  it('get limits of their own from what is heard, and nobody had to say any', async () => {
    const { silentAfter } = await start();
    expect(await silentAfter(4 * MINUTE)).toEqual([]);
    expect(await silentAfter(5 * MINUTE)).toEqual(['camera']);
    expect(await silentAfter(2 * HOUR)).toEqual(['camera']);
    expect(await silentAfter(5 * HOUR)).toEqual(['camera', 'bridge']);
    expect(await silentAfter(2 * DAY)).toEqual(['camera', 'bridge']);
    expect(await silentAfter(5 * DAY)).toEqual(['camera', 'bridge', 'pir']);
  });

  it('are waited for as a policy says where one does', async () => {
    const { silentAfter } = await start(26 * HOUR);
    expect(await silentAfter(25 * HOUR)).toEqual(['camera', 'bridge']);
    expect(await silentAfter(26 * HOUR)).toEqual(['camera', 'bridge', 'pir']);
  });
});
