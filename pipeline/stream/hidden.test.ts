import { expect, it, onTestFinished } from 'vitest';
import type { AccessScope } from '../../schema/principal.ts';
import type { DeviceState } from '../../schema/words.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import { createEventCursors } from '../../storage/event-cursor.ts';
import { deviceId } from '../../storage/ids.ts';
import { ALWAYS } from '../../storage/sql-conditions.ts';
import { saveStatusPolicy } from '../../storage/status-policies.ts';
import { eachEngine } from '../../storage/testing.ts';
import { putOnline, stateDraft } from '../fixtures/devices-online.ts';
import { createEventWriter, type EventWriter, ringForEvents } from '../process/event-writer.ts';
import { createDwellJob } from '../status/dwell.ts';
import { createRootCauseHook } from '../status/root-cause-hook.ts';
import { createSilenceJob } from '../status/silence.ts';
import { createTestTiming, NOON, quiet, seed, until } from '../testing.ts';
import { createEventStream, type StreamRequest } from './event-stream.ts';
import { createLogTail } from './log-tail.ts';
import { subscribeStatusChanges } from './status-changes.ts';

// What a feed does not show, and what becomes of its cursor meanwhile; what followers of states see all the same.

const ALL: AccessScope = { orgIds: 'all', siteIds: null };
const MINUTE = 60_000;

eachEngine('hidden events', (open) => {
  async function start() {
    const db = await open();
    const { integration, orgId } = await seed(db, { devices: ['rec', 'cam-1', 'cam-2'] });
    await putOnline(db, NOON - 1, { 'cam-%': deviceId(integration.id, 'rec') });
    const silence = { silenceLimitOf: () => 10 * MINUTE, note: () => {} };
    const events: EventWriter = createEventWriter({ db, silence, onTransitions: createRootCauseHook(() => events) });
    const cursors = createEventCursors(createCursorCodec(Buffer.alloc(32, 3)), db.epoch);
    const tail = createLogTail({ db, logger: quiet });
    onTestFinished(() => tail.stop());
    const timing = createTestTiming();
    const stream = createEventStream({ db, tail, cursors, now: () => NOON, timing });
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    return {
      db,
      events,
      orgId,
      cursors,
      tail,
      timing,
      tell: async (at: number, state: DeviceState, ...names: readonly string[]) => {
        await db.write((tx) =>
          events.writeEvents(
            tx,
            integration,
            names.map((name) => stateDraft(name, state, at)),
            'WEBHOOK',
            at,
          ),
        );
        ringForEvents(db, integration);
      },
      feed: (request: Partial<StreamRequest> = {}) =>
        stream.subscribe({
          access: ALL,
          filter: { families: ['HEALTH'] },
          after: null,
          signal: stop.signal,
          ...request,
        }),
      changes: () =>
        subscribeStatusChanges(
          { db, stream },
          { access: ALL, devices: () => ALWAYS, after: cursors.encode(0, null), signal: stop.signal },
        ),
    };
  }

  it('move the cursor of a feed that does not show them, live and in a replay, and show the root itself', async () => {
    const { tell, feed, cursors, timing, tail } = await start();
    const live = await feed();
    await tell(NOON, 'OFFLINE', 'rec');
    const { value: root } = await live.next();
    // Behind the incident, which is told of before.
    const after = cursors.encode(2, null);
    expect(root).toMatchObject({ __typename: 'EventDelivered', event: { summary: 'rec OFFLINE', suppressed: 0 } });
    const heartbeat = live.next();
    await tell(NOON + 1_000, 'OFFLINE', 'cam-1', 'cam-2');
    // The recorder, the incident, and two cameras that nobody is shown.
    await until(() => tail.head === 4);
    timing.advance(15_000);
    const { value } = await heartbeat;
    expect(value).toMatchObject({ __typename: 'StreamHeartbeat', cursor: cursors.encode(4, null) });

    const replay = await feed({ after });
    expect(await replay.next()).toMatchObject({
      value: { __typename: 'ReplayComplete', cursor: cursors.encode(4, null), replayedCount: 0 },
    });
    const everything = await feed({
      after,
      filter: { families: ['HEALTH'], includeSuppressed: true },
    });
    const summaries = [await everything.next(), await everything.next()].map(({ value: item }) =>
      item?.__typename === 'EventDelivered' ? item.event.summary : item?.__typename,
    );
    expect(summaries).toEqual(['cam-1 OFFLINE', 'cam-2 OFFLINE']);
  });

  it('are changes of state to who follows those, and so is what time alone has made of a device', async () => {
    const { db, events, orgId, tell, changes } = await start();
    await db.write((tx) =>
      saveStatusPolicy(
        tx,
        { orgId, siteId: null, deviceType: null, deviceId: null },
        { offlineDwellMs: 5 * MINUTE, flapChanges: null, flapWindowMs: null, silenceMs: null },
        NOON,
      ),
    );
    await tell(NOON, 'OFFLINE', 'rec', 'cam-1');
    await tell(NOON + 1, 'ONLINE', 'cam-2');
    await createDwellJob({ db, writer: events }).run(NOON + 5 * MINUTE);
    await createSilenceJob({ db, writer: () => events }).run(NOON + 1 + 10 * MINUTE);
    const items = await changes();
    const told = [await items.next(), await items.next(), await items.next()].map(({ value }) => value?.event);
    const fell = told
      .slice(0, 2)
      .map((event) => [event?.device_id, event?.previous_state, event?.state, event?.suppressed]);
    expect(new Set(fell)).toEqual(
      new Set([
        [deviceId('int_a', 'rec'), 'ONLINE', 'OFFLINE', 0],
        [deviceId('int_a', 'cam-1'), 'ONLINE', 'OFFLINE', 1],
      ]),
    );
    expect(told[2]).toMatchObject({ device_id: deviceId('int_a', 'cam-2'), state: 'UNKNOWN', state_reason: 'SILENCE' });
  });
});
