import fc from 'fast-check';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import type { DeviceState } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { saveStatusPolicy } from '../../storage/status-policies.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createEventWriter, type EventItem } from '../process/event-writer.ts';
import { NOON, seed, type Seeded } from '../testing.ts';
import type { StatusPolicy } from './machine.ts';

const MINUTE = 60_000;
/** A site's relay sends what is new first, and then what it kept while it was away. */
const LIVE = 40;

interface Word {
  /** In minutes after noon. */
  readonly at: number;
  readonly state: DeviceState;
  readonly inboxId: number;
  readonly device?: string;
  readonly reason?: 'POWER' | null;
  /** Minutes before `at` at which the state was so. */
  readonly older?: number;
  readonly keeps?: boolean;
  /** In minutes after noon; default a month later. */
  readonly heardAt?: number;
}

function itemOf(word: Word): EventItem {
  const { at, state, inboxId, device = 'cam-1', reason = null, older = 0, keeps = false, heardAt = 30 * 1_440 } = word;
  return {
    draft: {
      vendorEventId: `${device} ${inboxId}`,
      family: 'HEALTH',
      type: `health.${state.toLowerCase()}`,
      vendorCode: null,
      severity: 'NOTICE',
      occurredAt: new Date(NOON + at * MINUTE),
      nativeOrgId: null,
      nativeSiteId: null,
      nativeDeviceId: device,
      claim: {
        state,
        reason,
        vendorState: state,
        observedAt: older === 0 ? null : new Date(NOON + (at - older) * MINUTE),
        ...(keeps ? { keepsDegraded: ['POWER'] } : {}),
      },
      isLifeSign: state === 'ONLINE',
      summary: '',
      details: {},
      raw: null,
    },
    origin: 'WEBHOOK',
    receivedAt: NOON + heardAt * MINUTE,
    inboxId,
    clockSkewMs: null,
    countsAsDuplicate: true,
  };
}

function toggling(from: number, count: number, device = 'cam-1'): readonly Word[] {
  return Array.from({ length: count }, (_, index) => ({
    at: from + index * 20,
    state: index % 2 === 0 ? 'ONLINE' : 'OFFLINE',
    inboxId: from + index + 100_000,
    device,
  }));
}

function harness(db: Database, seeded: Seeded) {
  const writer = createEventWriter({ db });
  return {
    tell: (words: readonly Word[], look: (tx: Tx) => Promise<unknown> = async () => null) =>
      db.write(async (tx) => {
        await writer.writeItems(tx, seeded.integration, words.map(itemOf));
        return look(tx);
      }),
    pass: (at: number) => db.write((tx) => writer.settleDevices(tx, seeded.integration, [seeded.device('cam-1')], at)),
    device: (name = 'cam-1') =>
      db.read
        .selectFrom('devices')
        .select(['state', 'state_reason', 'state_since', 'state_observed_at', 'state_vendor', 'flapping'])
        .select(['flap_changes', 'flap_until', 'pending_state', 'pending_since', 'claim_inbox_id'])
        .where('id', '=', seeded.device(name))
        .executeTakeFirstOrThrow(),
    segments: (name = 'cam-1') =>
      db.read
        .selectFrom('status_segments')
        .select(['from_at', 'to_at', 'state', 'reason'])
        .where('device_id', '=', seeded.device(name))
        .orderBy('from_at')
        .execute(),
    late: async () => (await db.read.selectFrom('events').select('late').where('late', '=', 1).execute()).length,
  };
}

function judge(db: Database, { orgId }: Seeded, policy: StatusPolicy): Promise<unknown> {
  const place = { orgId, siteId: null, deviceType: null, deviceId: null };
  return db.write((tx) => saveStatusPolicy(tx, place, { ...policy, silenceMs: null }, NOON));
}

/** How many rows of segments the caller's transaction has written so far; on SQLite, since it was last asked. */
async function segmentWrites(db: Database) {
  if (db.engine === 'postgres') {
    return async (tx: Tx) => {
      const { rows } = await sql<{ count: number }>`
        select count(*) as count from status_segments where xmin = cast(pg_current_xact_id() as xid)`.execute(tx);
      return Number(rows[0]?.count);
    };
  }
  await db.write(async (tx) => {
    await sql`create temp table written (id integer primary key)`.execute(tx);
    for (const what of ['insert', 'update', 'delete']) {
      await sql
        .raw(
          `create temp trigger written_${what} after ${what} on main.status_segments begin insert into written values (null); end`,
        )
        .execute(tx);
    }
  });
  return async (tx: Tx) => Number((await sql`delete from written`.execute(tx)).numAffectedRows);
}

const anyWord = fc.record({
  gap: fc.constantFrom(1, 2, 2, 5, 9),
  state: fc.constantFrom('ONLINE', 'ONLINE', 'OFFLINE', 'OFFLINE', 'DEGRADED', 'UNKNOWN'),
  reason: fc.constantFrom(null, 'POWER' as const),
  older: fc.constantFrom(0, 0, 0, 3),
  keeps: fc.boolean(),
});

/** Words of which some come in behind all the others. */
const backlog = fc
  .array(anyWord, { minLength: 25, maxLength: 50 })
  .map((drawn) => {
    let at = 0;
    const words = drawn.map(({ gap, ...word }, index): Word => ({ ...word, at: (at += gap), inboxId: index + 1 }));
    // All are heard at the end, so that nothing has calmed down since.
    return words.map((word) => ({ ...word, heardAt: at }));
  })
  .chain((words) =>
    fc.record({
      words: fc.constant(words),
      heldBack: fc.subarray(words, { minLength: 1, maxLength: 5 }),
      batch: fc.integer({ min: 1, max: 3 }),
      dwellMinutes: fc.constantFrom(0, 0, 2, 10),
      flapChanges: fc.integer({ min: 2, max: 5 }),
      windowMinutes: fc.constantFrom(3, 6, 10, 15),
    }),
  );

function inOrder(words: readonly Word[]): readonly Word[] {
  return words.toSorted((a, b) => a.at - (a.older ?? 0) - (b.at - (b.older ?? 0)) || a.inboxId - b.inboxId);
}

eachEngine('history behind late claims', (open) => {
  async function start(db: Database, name = 'a') {
    const seeded = await seed(db, { name });
    return { seeded, ...harness(db, seeded) };
  }

  it('is what it would be had they come in order, however much lies behind them', async () => {
    const db = await open();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(backlog, async (drawn) => {
        runs += 1;
        const [straight, mixed] = [await start(db, `s${runs}x`), await start(db, `m${runs}x`)];
        for (const { seeded } of [straight, mixed]) {
          const { flapChanges, windowMinutes, dwellMinutes } = drawn;
          const flapWindowMs = windowMinutes * MINUTE;
          await judge(db, seeded, { flapChanges, flapWindowMs, offlineDwellMs: dwellMinutes * MINUTE });
        }
        await straight.tell(inOrder(drawn.words));
        const late = new Set(drawn.heldBack);
        await mixed.tell(inOrder(drawn.words.filter((word) => !late.has(word))));
        for (let from = 0; from < drawn.heldBack.length; from += drawn.batch) {
          await mixed.tell(drawn.heldBack.slice(from, from + drawn.batch));
        }
        const end = NOON + (drawn.words.at(-1)?.at ?? 0) * MINUTE;
        for (const each of [straight, mixed]) await each.pass(end);
        expect(await mixed.device()).toEqual(await straight.device());
        expect(await mixed.segments()).toEqual(await straight.segments());
      }),
      { numRuns: db.engine === 'sqlite' ? 60 : 25, interruptAfterTimeLimit: 6_000 },
    );
  }, 60_000);

  it('is written next to a late claim and nowhere else', async () => {
    const db = await open();
    const { tell, segments, device, late } = await start(db);
    const writes = await segmentWrites(db);
    await tell(toggling(10_000, LIVE));
    const now = await device();
    const [first, ...others] = toggling(0, 12);
    if (first !== undefined) await tell([first], writes);
    for (const word of others) {
      // The claim's own segment and the one before it; the next one, where it says the same.
      expect(await tell([word], writes)).toBeLessThanOrEqual(3);
    }
    expect(await late()).toBe(12);
    expect(await device()).toEqual(now);
    // The last one of the backlog said what the first of the live ones says: there is one segment of both.
    const stored = (await segments()).filter(({ state }) => state !== 'UNKNOWN');
    expect(stored.map(({ state }) => state)).toEqual(
      stored.map((_, index) => (index % 2 === 0 ? 'ONLINE' : 'OFFLINE')),
    );
    expect(stored).toHaveLength(12 + LIVE);
    expect(stored.map(({ to_at: to }) => to)).toEqual([...stored.slice(1).map(({ from_at: from }) => from), null]);
  });

  it('is written for many devices of one batch at once, and for each only where it changed', async () => {
    const db = await open();
    const { tell, segments } = await start(db);
    const writes = await segmentWrites(db);
    const devices = ['cam-1', 'cam-2'];
    await tell(devices.flatMap((name) => toggling(10_000, LIVE, name)));
    await tell(
      devices.flatMap((name) => toggling(0, 4, name)),
      writes,
    );
    const written = Number(
      await tell(
        devices.flatMap((name) => toggling(80, 4, name)),
        writes,
      ),
    );
    expect(written).toBeLessThanOrEqual(devices.length * 5);
    for (const name of devices) {
      expect((await segments(name)).filter(({ state }) => state !== 'UNKNOWN')).toHaveLength(8 + LIVE);
    }
  });

  it('goes on to the present where a device has flapped ever since the late claim', async () => {
    const db = await open();
    const { seeded, tell, device } = await start(db);
    await judge(db, seeded, { flapChanges: 4, flapWindowMs: 10 * MINUTE, offlineDwellMs: 0 });
    // Three changes within ten minutes are no flapping, and keep up flapping that began.
    const live = toggling(0, LIVE).map((word, index) => ({
      ...word,
      at: index < 3 ? index * 20 : 32 + index * 4,
      heardAt: LIVE * 4 + 32,
    }));
    await tell(live);
    expect(await device()).toMatchObject({ flapping: 0 });
    await tell([{ at: 42, state: 'DEGRADED', inboxId: 1, heardAt: LIVE * 4 + 32 }]);
    expect(await device()).toMatchObject({ flapping: 1 });
  });

  it('begins where it is known that the device flapped, and goes on with that', async () => {
    const db = await open();
    const { seeded, tell, device } = await start(db);
    await judge(db, seeded, { flapChanges: 4, flapWindowMs: 10 * MINUTE, offlineDwellMs: 0 });
    const fast = toggling(0, 20).map((word) => ({ ...word, at: word.at / 20, heardAt: 40 }));
    // From here on never four within ten minutes, and always more than one.
    const slow = [27, 28.5, 35, 37.5].map((at, index) => ({
      at,
      state: index % 2 === 0 ? ('ONLINE' as const) : ('OFFLINE' as const),
      inboxId: 1_000 + index,
      heardAt: 40,
    }));
    await tell([...fast, ...slow]);
    const before = await device();
    expect(before).toMatchObject({ flapping: 1 });
    await tell([{ at: 21, state: 'OFFLINE', inboxId: 1, heardAt: 40 }]);
    expect(await device()).toEqual(before);
  });

  it('goes on to the present where a late claim makes a difference there', async () => {
    const db = await open();
    const { tell, segments, device } = await start(db);
    await tell([
      { at: 0, state: 'DEGRADED', reason: 'POWER', inboxId: 1 },
      ...Array.from({ length: LIVE }, (_, index) => ({
        at: 20 + index * 20,
        state: 'ONLINE' as const,
        inboxId: 2 + index,
        keeps: true,
      })),
    ]);
    expect(await device()).toMatchObject({ state: 'DEGRADED' });
    await tell([{ at: 10, state: 'ONLINE', inboxId: 900 }]);
    expect(await device()).toMatchObject({ state: 'ONLINE', state_since: NOON + 10 * MINUTE });
    expect((await segments()).map(({ state }) => state)).toEqual(['UNKNOWN', 'DEGRADED', 'ONLINE']);
  });
});
