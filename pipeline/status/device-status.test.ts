import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { EvidenceSource } from '../../schema/words.ts';
import { DEVICE_STATES } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import { saveStatusPolicy } from '../../storage/status-policies.ts';
import { eachEngine } from '../../storage/testing.ts';
import { stateDraft } from '../fixtures/devices-online.ts';
import { createEventWriter, type EventItem } from '../process/event-writer.ts';
import { NOON, seed, type Seeded } from '../testing.ts';
import { createDwellJob } from './dwell.ts';
import type { StatusTransition } from './transitions.ts';

const SECOND = 1_000;
const MINUTE = 60_000;
const DAY = 86_400_000;

interface Word {
  readonly at: number;
  readonly state: (typeof DEVICE_STATES)[number];
  readonly receivedAt?: number;
  readonly source?: EvidenceSource;
  readonly inboxId?: number | null;
  readonly device?: string;
  readonly reason?: 'POWER' | 'TAMPER' | null;
  readonly vendorState?: string | null;
  readonly keepsDegraded?: readonly ('POWER' | 'TAMPER')[];
  readonly observedAt?: number | null;
  readonly skewMs?: number | null;
}

let numbers = 0;

function itemOf(word: Word): EventItem {
  const { at, state, receivedAt = at, source = 'WEBHOOK', inboxId = null, device = 'cam-1', skewMs = null } = word;
  const draft = stateDraft(device, state, at, {
    vendorEventId: `e${++numbers}`,
    severity: 'NOTICE',
    claim: {
      state,
      reason: word.reason ?? null,
      vendorState: word.vendorState ?? null,
      observedAt: word.observedAt === undefined || word.observedAt === null ? null : new Date(word.observedAt),
      ...(word.keepsDegraded === undefined ? {} : { keepsDegraded: word.keepsDegraded }),
    },
  });
  return { draft, origin: source, receivedAt, inboxId, clockSkewMs: skewMs, countsAsDuplicate: true };
}

function harness(db: Database, seeded: Seeded) {
  const transitions: StatusTransition[] = [];
  const writer = createEventWriter({
    db,
    onTransitions: async (_db, _tx, _integration, some) => {
      transitions.push(...some);
    },
  });
  const job = createDwellJob({ db, writer });
  return {
    transitions,
    tell: (...words: readonly Word[]) => db.write((tx) => writer.writeItems(tx, seeded.integration, words.map(itemOf))),
    /** Time passes for all devices there are. */
    keep: (now: number) => job.run(now),
    /** Time passes for this one. */
    pass: (now: number) =>
      db.write((tx) => writer.settleDevices(tx, seeded.integration, [seeded.device('cam-1')], now)),
    device: (nativeId = 'cam-1') =>
      db.read.selectFrom('devices').selectAll().where('id', '=', seeded.device(nativeId)).executeTakeFirstOrThrow(),
    segments: (nativeId = 'cam-1') =>
      db.read
        .selectFrom('status_segments')
        .select(['from_at', 'to_at', 'state', 'reason'])
        .where('device_id', '=', seeded.device(nativeId))
        .orderBy('from_at')
        .execute(),
    events: () => db.read.selectFrom('events').selectAll().orderBy('seq').execute(),
    policy: (values: Partial<Parameters<typeof saveStatusPolicy>[2]>, place: { readonly siteId?: string } = {}) =>
      db.write((tx) =>
        saveStatusPolicy(
          tx,
          { orgId: seeded.orgId, siteId: place.siteId ?? null, deviceType: null, deviceId: null },
          { offlineDwellMs: null, flapChanges: null, flapWindowMs: null, silenceMs: null, ...values },
          NOON,
        ),
      ),
  };
}

/** What the fold is about: not the words of one batch, and not when which row was written. */
async function outcome(parts: ReturnType<typeof harness>) {
  const row = await parts.device();
  const { state, state_rank, state_reason, state_since, state_observed_at, state_vendor, evidence } = row;
  const { claim_received_at, claim_inbox_id, pending_state, pending_since, pending_until, pending_reason } = row;
  const { flapping, flap_changes, flap_until, last_seen_at } = row;
  return {
    row: { state, state_rank, state_reason, state_since, state_observed_at, state_vendor, evidence, last_seen_at },
    place: { claim_received_at, claim_inbox_id },
    pending: { pending_state, pending_since, pending_until, pending_reason },
    flaps: { flapping, flap_changes, flap_until },
    segments: await parts.segments(),
  };
}

const anyWord = fc.record({
  at: fc.integer({ min: 0, max: 40 }).map((tick) => NOON + tick * 30 * SECOND),
  delay: fc.integer({ min: 0, max: 10 }).map((ticks) => ticks * 30 * SECOND),
  state: fc.constantFrom(...DEVICE_STATES),
  source: fc.constantFrom('WEBHOOK' as const, 'POLL' as const, 'STREAM' as const, 'SUPERVISION' as const),
  reason: fc.constantFrom(null, 'POWER' as const, 'TAMPER' as const),
  vendorState: fc.constantFrom(null, 'a', 'b'),
  keepsDegraded: fc.constantFrom([], ['POWER' as const]),
  isOlder: fc.boolean(),
});

type AnyWord = typeof anyWord extends fc.Arbitrary<infer T> ? T : never;

/** Each of a delivery of its own; `observedAt` is what counts where a claim has one. */
function placed({ delay, isOlder, ...word }: AnyWord, index: number): Word {
  const observedAt = isOlder ? word.at - 45 * SECOND : null;
  return { ...word, observedAt, receivedAt: word.at + delay, inboxId: index + 1 };
}

const history = fc
  .array(anyWord, { minLength: 1, maxLength: 14 })
  .map((words) => words.map(placed))
  .chain((words) =>
    fc.record({
      words: fc.constant(words),
      shuffled: fc.shuffledSubarray(words, { minLength: words.length }),
      splits: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: words.length, maxLength: words.length }),
      dwellMs: fc.constantFrom(0, 0, MINUTE, 5 * MINUTE),
      flapChanges: fc.integer({ min: 2, max: 6 }),
      keeperAt: fc.integer({ min: 0, max: 50 }),
    }),
  );

function inBatches<T>(values: readonly T[], sizes: readonly number[]): readonly (readonly T[])[] {
  const batches: (readonly T[])[] = [];
  for (let from = 0, index = 0; from < values.length; from += sizes[index] ?? 1, index += 1) {
    batches.push(values.slice(from, from + (sizes[index] ?? 1)));
  }
  return batches;
}

function placeOf({ at, observedAt, receivedAt = 0, inboxId }: Word): readonly number[] {
  return [observedAt ?? at, receivedAt, inboxId ?? 0];
}

function inOrder(words: readonly Word[]): readonly Word[] {
  return words.toSorted((a, b) => {
    const [left, right] = [placeOf(a), placeOf(b)];
    const differs = left.findIndex((value, index) => value !== right[index]);
    return differs < 0 ? 0 : (left[differs] ?? 0) - (right[differs] ?? 0);
  });
}

eachEngine('status of a device', (open) => {
  async function start(options: { readonly db?: Database; readonly name?: string } = {}) {
    const db = options.db ?? (await open());
    const seeded = await seed(db, options.name === undefined ? {} : { name: options.name });
    return { db, seeded, ...harness(db, seeded) };
  }

  it('is the same whatever order its claims are processed in, and however they are batched', async () => {
    const db = await open();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(history, async ({ words, shuffled, splits, dwellMs, flapChanges, keeperAt }) => {
        runs += 1;
        const end = NOON + DAY;
        const [straight, mixed] = [await start({ db, name: `s${runs}x` }), await start({ db, name: `m${runs}x` })];
        for (const each of [straight, mixed]) await each.policy({ offlineDwellMs: dwellMs, flapChanges });
        for (const word of inOrder(words)) await straight.tell(word);
        for (const [index, batch] of inBatches(shuffled, splits).entries()) {
          await mixed.tell(...batch);
          // Time passes in between, and what it settles may have to be taken back.
          if (index % 3 === 1) await mixed.pass(NOON + keeperAt * 30 * SECOND);
        }
        await straight.pass(end);
        await mixed.pass(end);
        const rename = (text: string) => text.replaceAll(`int_m${runs}x`, `int_s${runs}x`);
        const [expected, actual] = [await outcome(straight), await outcome(mixed)];
        expect({ ...actual, row: { ...actual.row, evidence: rename(actual.row.evidence) } }).toEqual(expected);
        // What the stream told of leads to the same state.
        const told = (await mixed.events()).filter(
          (event) => event.integration_id === mixed.seeded.integration.id && event.changed === 1,
        );
        for (const [index, event] of told.entries()) {
          expect(event.previous_state).toBe(index === 0 ? 'UNKNOWN' : mixed.transitions[index - 1]?.after);
        }
        expect(mixed.transitions.at(-1)?.after ?? 'UNKNOWN').toBe(actual.row.state);
        expect(mixed.transitions).toHaveLength(told.length);
      }),
      // Bounded in time as well: it runs beside much else.
      { numRuns: db.engine === 'sqlite' ? 60 : 20, interruptAfterTimeLimit: 8_000 },
    );
  }, 120_000);

  it('makes an outage count when it has lasted, with the origin of the claim, and says so once', async () => {
    const { tell, keep, device, events, policy, transitions, seeded, segments } = await start();
    await policy({ offlineDwellMs: 5 * MINUTE }, { siteId: seeded.siteId });
    await tell({ at: NOON, state: 'ONLINE' });
    await tell({ at: NOON + MINUTE, state: 'OFFLINE', source: 'SUPERVISION', reason: 'POWER' });
    expect(await device()).toMatchObject({
      state: 'ONLINE',
      pending_state: 'OFFLINE',
      pending_reason: 'POWER',
      pending_since: NOON + MINUTE,
      pending_until: NOON + 6 * MINUTE,
    });
    expect((await events()).at(-1)).toMatchObject({
      changed: 0,
      state: 'OFFLINE',
      previous_state: 'ONLINE',
      derived: 0,
    });
    await keep(NOON + 6 * MINUTE - 1);
    expect(await device()).toMatchObject({ state: 'ONLINE' });
    await keep(NOON + 6 * MINUTE);
    await keep(NOON + 6 * MINUTE);
    expect(await device()).toMatchObject({ state: 'OFFLINE', state_since: NOON + MINUTE, pending_state: null });
    const [lasting, ...others] = (await events()).filter(({ derived }) => derived === 1);
    expect(others).toEqual([]);
    expect(lasting).toMatchObject({
      type: 'health.offline',
      family: 'HEALTH',
      changed: 1,
      state: 'OFFLINE',
      previous_state: 'ONLINE',
      state_reason: 'POWER',
      origin: 'SUPERVISION',
      occurred_at: NOON + MINUTE,
      received_at: NOON + 6 * MINUTE,
    });
    expect(transitions.at(-1)).toMatchObject({ before: 'ONLINE', after: 'OFFLINE', at: NOON + MINUTE });
    expect(await segments()).toMatchObject([
      { from_at: 0, to_at: NOON, state: 'UNKNOWN' },
      { from_at: NOON, to_at: NOON + MINUTE, state: 'ONLINE' },
      { from_at: NOON + MINUTE, to_at: null, state: 'OFFLINE', reason: 'POWER' },
    ]);
  });

  it('tells nobody of an outage that was over before it counted', async () => {
    const { tell, keep, device, events, policy, segments } = await start();
    await policy({ offlineDwellMs: 5 * MINUTE });
    await tell({ at: NOON, state: 'ONLINE' });
    await tell({ at: NOON + MINUTE, state: 'OFFLINE' });
    await tell({ at: NOON + 2 * MINUTE, state: 'ONLINE' });
    await keep(NOON + DAY);
    expect(await device()).toMatchObject({
      state: 'ONLINE',
      state_since: NOON,
      pending_state: null,
      pending_until: null,
    });
    expect((await events()).map(({ changed }) => changed)).toEqual([1, 0, 0]);
    expect(await segments()).toHaveLength(2);
  });

  it('takes an outage back that counted, when the recovery turns out to have come in time', async () => {
    const { tell, keep, device, events, policy, segments, transitions } = await start();
    await policy({ offlineDwellMs: 5 * MINUTE });
    await tell({ at: NOON, state: 'ONLINE' });
    await tell({ at: NOON + MINUTE, state: 'OFFLINE' });
    await keep(NOON + 6 * MINUTE);
    await tell({ at: NOON + 2 * MINUTE, state: 'ONLINE', receivedAt: NOON + 7 * MINUTE });
    expect(await device()).toMatchObject({ state: 'ONLINE', state_since: NOON, flap_changes: JSON.stringify([NOON]) });
    expect(await segments()).toMatchObject([
      { from_at: 0, to_at: NOON, state: 'UNKNOWN' },
      { from_at: NOON, to_at: null, state: 'ONLINE' },
    ]);
    // Whoever was told that it is offline is told that it is not.
    expect((await events()).at(-1)).toMatchObject({ changed: 1, previous_state: 'OFFLINE', state: 'ONLINE', late: 0 });
    expect(transitions.map(({ after }) => after)).toEqual(['ONLINE', 'OFFLINE', 'ONLINE']);
  });

  it('tells of flapping when it begins and when it ends', async () => {
    const { tell, keep, device, events } = await start();
    for (let index = 0; index < 6; index += 1) {
      await tell({ at: NOON + index * SECOND, state: index % 2 === 0 ? 'ONLINE' : 'OFFLINE' });
    }
    expect(await device()).toMatchObject({ flapping: 1, flap_until: NOON + 3 * SECOND + 10 * MINUTE });
    await keep(NOON + 10 * MINUTE);
    expect(await device()).toMatchObject({ flapping: 1 });
    await keep(NOON + 3 * SECOND + 10 * MINUTE);
    expect(await device()).toMatchObject({ flapping: 0, flap_until: null });
    const log = await events();
    expect(log.map(({ type }) => type).filter((type) => type.includes('flapping'))).toEqual([
      'health.flapping_started',
      'health.flapping_stopped',
    ]);
    // While it flaps the stream goes on telling each change.
    expect(log.filter(({ changed }) => changed === 1)).toHaveLength(6);
  });

  it('corrects the history where a claim comes late, and leaves the state to the newer one', async () => {
    const { tell, device, segments, events, transitions, db } = await start();
    await tell({ at: NOON, state: 'ONLINE' });
    await tell({ at: NOON + 10 * MINUTE, state: 'ONLINE', vendorState: 'up' });
    await tell({ at: NOON + 5 * MINUTE, state: 'OFFLINE', receivedAt: NOON + 11 * MINUTE, reason: 'POWER' });
    expect(await device()).toMatchObject({
      state: 'ONLINE',
      state_since: NOON + 10 * MINUTE,
      state_observed_at: NOON + 10 * MINUTE,
      state_vendor: 'up',
    });
    expect(await segments()).toMatchObject(
      [
        { from_at: NOON, to_at: NOON + 5 * MINUTE, state: 'ONLINE' },
        { from_at: NOON + 5 * MINUTE, to_at: NOON + 10 * MINUTE, state: 'OFFLINE', reason: 'POWER' },
        { from_at: NOON + 10 * MINUTE, to_at: null, state: 'ONLINE' },
      ].toSpliced(0, 0, { from_at: 0, to_at: NOON, state: 'UNKNOWN' }),
    );
    expect((await events()).at(-1)).toMatchObject({ late: 1, changed: 0, previous_state: 'ONLINE' });
    expect(transitions).toHaveLength(1);
    const counters = await db.read.selectFrom('integration_counters').select('late').execute();
    expect(counters.reduce((sum, { late }) => sum + late, 0)).toBe(1);
  });

  it('keeps the newest word of each source, whoever prevails', async () => {
    const { tell, device } = await start();
    const words: readonly Word[] = [
      { at: NOON, state: 'OFFLINE', source: 'WEBHOOK' },
      { at: NOON + SECOND, state: 'ONLINE', source: 'POLL' },
      { at: NOON + 2 * SECOND, state: 'OFFLINE', source: 'SUPERVISION' },
      { at: NOON - SECOND, state: 'ONLINE', source: 'WEBHOOK', receivedAt: NOON + 3 * SECOND },
    ];
    for (const order of [words, words.toReversed()]) {
      const name = order === words ? 'cam-1' : 'cam-2';
      for (const word of order) await tell({ ...word, device: name });
      const { state, evidence } = await device(name);
      expect(state).toBe('OFFLINE');
      expect(JSON.parse(evidence)).toMatchObject([
        { source: 'SUPERVISION', state: 'OFFLINE', integrationId: 'int_a', observedAt: NOON + 2 * SECOND },
        { source: 'POLL', state: 'ONLINE', observedAt: NOON + SECOND },
        { source: 'WEBHOOK', state: 'OFFLINE', observedAt: NOON },
      ]);
    }
  });

  it('accepts and flags a clock that is a day off, and takes its word in order of receipt', async () => {
    const { tell, device, events } = await start();
    await tell({ at: NOON + DAY, receivedAt: NOON, state: 'OFFLINE' });
    await tell({ at: NOON + DAY - MINUTE, receivedAt: NOON + SECOND, state: 'ONLINE' });
    expect(await device()).toMatchObject({ state: 'ONLINE', state_since: NOON + SECOND });
    expect(await events()).toMatchObject([
      { occurred_at: NOON, clock_skew_ms: -DAY, late: 0 },
      { occurred_at: NOON + SECOND, late: 0 },
    ]);
    // A day slow by its own word: what it tells is put onto our clock, in its own order.
    const slow = { skewMs: DAY, device: 'cam-2' } as const;
    await tell({ at: NOON, receivedAt: NOON, state: 'DEGRADED', device: 'cam-2' });
    await tell({ ...slow, at: NOON - DAY + SECOND, receivedAt: NOON + 2 * SECOND, state: 'OFFLINE' });
    await tell({ ...slow, at: NOON - DAY + 3 * SECOND, receivedAt: NOON + 4 * SECOND, state: 'ONLINE' });
    expect(await device('cam-2')).toMatchObject({ state: 'ONLINE', state_since: NOON + 3 * SECOND });
    expect((await events()).slice(-1)).toMatchObject([{ clock_skew_ms: DAY, late: 0, changed: 1 }]);
  });

  it('takes the narrowest policy that says something, value by value', async () => {
    const { tell, device, policy, seeded } = await start();
    await policy({ offlineDwellMs: 10 * MINUTE, flapChanges: 2 });
    await policy({ offlineDwellMs: MINUTE }, { siteId: seeded.siteId });
    await tell({ at: NOON, state: 'ONLINE' }, { at: NOON + SECOND, state: 'OFFLINE' });
    expect(await device()).toMatchObject({ pending_until: NOON + SECOND + MINUTE });
    await tell({ at: NOON + 2 * SECOND, state: 'DEGRADED' });
    expect(await device()).toMatchObject({ flapping: 1 });
  });

  it('notes what belongs behind more than it goes back over, and stays as it is', async () => {
    const { tell, device, events, segments } = await start();
    for (let from = 0; from < 2_100; from += 700) {
      const some = Array.from({ length: 700 }, (_, index) => ({
        at: NOON + (from + index) * MINUTE,
        state: 'ONLINE' as const,
      }));
      await tell(...some);
    }
    const before = [await device(), await segments()];
    await tell({ at: NOON + MINUTE + 1, state: 'OFFLINE', receivedAt: NOON + DAY * 3 });
    const [row] = [await device()];
    expect([{ ...row, evidence: '' }, await segments()]).toEqual([
      { ...(before[0] as typeof row), evidence: '' },
      before[1],
    ]);
    expect((await events()).at(-1)).toMatchObject({ late: 1, changed: 0 });
  });
});
