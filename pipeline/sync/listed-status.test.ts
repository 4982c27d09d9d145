import { expect, it } from 'vitest';
import type { DeviceDraft } from '../../adapter-kit/model.ts';
import type { DeviceState, StatusReason } from '../../schema/words.ts';
import { saveStatusPolicy } from '../../storage/status-policies.ts';
import { eachEngine } from '../../storage/testing.ts';
import { stateDraft } from '../fixtures/devices-online.ts';
import { createEventWriter } from '../process/event-writer.ts';
import { createDwellJob } from '../status/dwell.ts';
import { NOON, seed } from '../testing.ts';
import { applyChunk } from './apply-chunk.ts';
import { toRecord } from './device-record.ts';

const MINUTE = 60_000;

interface Listed {
  readonly state: DeviceState;
  readonly reason?: StatusReason | null;
  readonly site?: string;
  readonly keepsDegraded?: readonly StatusReason[];
}

eachEngine('what a listing says of states', (open) => {
  async function start() {
    const db = await open();
    const seeded = await seed(db, { devices: [] });
    const writer = createEventWriter({ db });
    const id = seeded.device('door');

    async function list(at: number, { state, reason = null, site = 'lobby', keepsDegraded }: Listed): Promise<void> {
      const draft: DeviceDraft = {
        nativeId: 'door',
        nativeOrgId: 'account',
        nativeSiteId: site,
        name: 'Door',
        type: 'READER',
        vendorType: null,
        status: {
          state,
          reason,
          vendorState: `listed ${state}`,
          observedAt: null,
          ...(keepsDegraded === undefined ? {} : { keepsDegraded }),
        },
      };
      const record = toRecord(draft, { integrationId: 'int_a', vendor: 'acme', startedAt: at });
      const context = {
        db,
        events: writer,
        integration: seeded.integration,
        isBaseline: false,
        startedAt: at,
        now: at,
      };
      await db.write((tx) => applyChunk(tx, context, [record]));
    }

    async function tell(at: number, state: DeviceState, receivedAt = at, reason: StatusReason | null = null) {
      const draft = stateDraft('door', state, at, {
        vendorEventId: `${at} ${state}`,
        severity: 'NOTICE',
        claim: { state, reason, vendorState: null, observedAt: null },
        isLifeSign: false,
      });
      await db.write((tx) => writer.writeEvents(tx, seeded.integration, [draft], 'WEBHOOK', receivedAt));
    }

    return {
      db,
      list,
      tell,
      keep: (at: number) => createDwellJob({ db, writer }).run(at),
      patience: (offlineDwellMs: number) =>
        db.write((tx) =>
          saveStatusPolicy(
            tx,
            { orgId: 'org_a', siteId: null, deviceType: 'READER', deviceId: null },
            { offlineDwellMs, flapChanges: null, flapWindowMs: null, silenceMs: null },
            NOON,
          ),
        ),
      device: () => db.read.selectFrom('devices').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
      claims: async () => {
        const rows = await db.read
          .selectFrom('events')
          .selectAll()
          .where('family', '=', 'HEALTH')
          .orderBy('seq')
          .execute();
        return rows.map(({ origin, state, changed, late }) => [origin, state, changed, late]);
      },
      segments: async () => {
        const rows = await db.read.selectFrom('status_segments').selectAll().orderBy('from_at').execute();
        return rows.map(({ from_at: from, to_at: to, state }) => [state, from - NOON, to === null ? null : to - NOON]);
      },
    };
  }

  it('is evidence beside that of events, and tells who disagrees', async () => {
    const { list, tell, device, claims } = await start();
    await list(NOON, { state: 'ONLINE', reason: 'REPORTED' });
    expect(JSON.parse((await device()).evidence)).toMatchObject([
      { source: 'POLL', state: 'ONLINE', observedAt: NOON },
    ]);
    await tell(NOON + MINUTE, 'OFFLINE');
    const words = async () => {
      const { state, evidence } = await device();
      const list: readonly { source: string; state: string; integrationId: string }[] = JSON.parse(evidence);
      return [state, ...list.map(({ source, state: said, integrationId }) => `${integrationId} ${source} ${said}`)];
    };
    expect(await words()).toEqual(['OFFLINE', 'int_a WEBHOOK OFFLINE', 'int_a POLL ONLINE']);
    // A listing that agrees logs nothing and counts; one that disagrees and is newer prevails.
    await list(NOON + 2 * MINUTE, { state: 'OFFLINE' });
    expect(await words()).toEqual(['OFFLINE', 'int_a POLL OFFLINE', 'int_a WEBHOOK OFFLINE']);
    await list(NOON + 3 * MINUTE, { state: 'ONLINE' });
    expect(await words()).toEqual(['ONLINE', 'int_a POLL ONLINE', 'int_a WEBHOOK OFFLINE']);
    expect(await claims()).toEqual([
      ['WEBHOOK', 'OFFLINE', 1, 0],
      ['POLL', 'ONLINE', 1, 0],
    ]);
  });

  it('holds against an event that comes late, though it was not logged', async () => {
    const { list, tell, device, segments } = await start();
    await list(NOON, { state: 'ONLINE' });
    await list(NOON + 10 * MINUTE, { state: 'ONLINE' });
    await tell(NOON + 5 * MINUTE, 'OFFLINE', NOON + 11 * MINUTE);
    expect(await device()).toMatchObject({
      state: 'ONLINE',
      state_since: NOON + 10 * MINUTE,
      state_observed_at: NOON + 10 * MINUTE,
      state_vendor: 'listed ONLINE',
    });
    expect(await segments()).toEqual([
      ['ONLINE', 0, 5 * MINUTE],
      ['OFFLINE', 5 * MINUTE, 10 * MINUTE],
      ['ONLINE', 10 * MINUTE, null],
    ]);
  });

  it('lets an outage last as long as the policy says', async () => {
    const { list, keep, patience, device, claims } = await start();
    await patience(5 * MINUTE);
    await list(NOON, { state: 'ONLINE' });
    await list(NOON + MINUTE, { state: 'OFFLINE' });
    // Listed again while it waits: nothing new.
    await list(NOON + 2 * MINUTE, { state: 'OFFLINE' });
    expect(await device()).toMatchObject({ state: 'ONLINE', pending_until: NOON + 6 * MINUTE });
    expect(await claims()).toEqual([['POLL', 'OFFLINE', 0, 0]]);
    // A listing does not settle in silence what has to be told.
    await list(NOON + 7 * MINUTE, { state: 'OFFLINE' });
    expect(await device()).toMatchObject({ state: 'ONLINE' });
    await keep(NOON + 7 * MINUTE);
    expect(await device()).toMatchObject({ state: 'OFFLINE', state_since: NOON + MINUTE });
    expect(await claims()).toEqual([
      ['POLL', 'OFFLINE', 0, 0],
      ['POLL', 'OFFLINE', 1, 0],
    ]);
  });

  it('ends an outage that waits to count', async () => {
    const { list, keep, patience, device, claims, segments } = await start();
    await patience(5 * MINUTE);
    await list(NOON, { state: 'ONLINE' });
    await list(NOON + MINUTE, { state: 'OFFLINE' });
    await list(NOON + 2 * MINUTE, { state: 'ONLINE' });
    await keep(NOON + 60 * MINUTE);
    expect(await device()).toMatchObject({ state: 'ONLINE', state_since: NOON, pending_until: null });
    expect((await claims()).map(([, , changed]) => changed)).toEqual([0, 0]);
    expect(await segments()).toEqual([]);
  });

  it('moves devices of unbound sites without an event, and keeps their history', async () => {
    const { list, device, claims, segments } = await start();
    await list(NOON, { state: 'ONLINE', site: 'nowhere' });
    await list(NOON + MINUTE, { state: 'OFFLINE', site: 'nowhere' });
    expect(await device()).toMatchObject({ state: 'OFFLINE', state_rank: 0, state_since: NOON + MINUTE });
    expect(await claims()).toEqual([]);
    expect(await segments()).toEqual([
      ['ONLINE', 0, MINUTE],
      ['OFFLINE', MINUTE, null],
    ]);
  });

  it('learns another reason of the same state, and keeps the one that it does not end', async () => {
    const { list, device, claims } = await start();
    await list(NOON, { state: 'DEGRADED' });
    await list(NOON + MINUTE, { state: 'DEGRADED', reason: 'POWER' });
    expect(await device()).toMatchObject({ state: 'DEGRADED', state_reason: 'POWER', state_since: NOON });
    await list(NOON + 2 * MINUTE, { state: 'ONLINE', keepsDegraded: ['POWER'] });
    expect(await device()).toMatchObject({ state: 'DEGRADED', state_observed_at: NOON + 2 * MINUTE });
    await list(NOON + 3 * MINUTE, { state: 'ONLINE' });
    expect(await device()).toMatchObject({ state: 'ONLINE', state_since: NOON + 3 * MINUTE });
    expect(await claims()).toEqual([['POLL', 'ONLINE', 1, 0]]);
  });
});
