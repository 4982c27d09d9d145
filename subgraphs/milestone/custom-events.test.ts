import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import type { CustomEventDraft } from '../../adapter-kit/model.ts';
import { context, connect, control, listAll, never, settled, simulate, startListening } from './fixtures/rig.ts';
import { milestone } from './index.ts';
import type { MilestoneSimulator } from './simulator.ts';

let simulator: MilestoneSimulator;
let adapter: Adapter;
beforeEach(async () => {
  simulator = await simulate({ devices: 20 });
  adapter = connect(simulator, { timeoutMs: 300 });
});
afterEach(async () => {
  await adapter.close();
  await simulator.close();
});

const FORCED = 'Convergraph access.forced_open';

const cameras = () => simulator.devices().filter(({ type }) => type === 'cameras');
const draft = (over: Partial<CustomEventDraft> = {}): CustomEventDraft => ({
  idempotencyKey: 'k-1',
  isRepeat: false,
  eventId: 'evt_01JCZ5',
  family: 'ACCESS',
  type: 'access.forced_open',
  severity: 'CRITICAL',
  occurredAt: new Date(),
  summary: 'Door 4 was forced',
  source: { deviceId: 'dev_door4', name: 'Door 4', type: 'DOOR' },
  metadata: { reader: 'rd-4' },
  ...over,
});
const raise = (over: Partial<CustomEventDraft> = {}, index = 0, by = adapter) => {
  const nativeId = cameras()[index]?.nativeId ?? '';
  return by.createCustomEvent?.({ nativeId, nativeOrgId: '', nativeSiteId: '' }, draft(over), never());
};
const own = () => simulator.userDefinedEvents().filter(({ name }) => name.startsWith('Convergraph'));

/** Takes what it is sent, and is too slow to say so. */
async function loseTheAnswer(over: Partial<CustomEventDraft> = {}, by = adapter): Promise<void> {
  await control(simulator, 'faults', { delayMs: 2_000 });
  await expect(raise(over, 0, by)).rejects.toMatchObject({ code: 'TIMEOUT', retryable: true });
  await control(simulator, 'faults');
}

describe('createCustomEvent', () => {
  it('creates the type once and raises events of it at the camera', async () => {
    await Promise.all([raise(), raise({ idempotencyKey: 'k-2' }, 1)]);
    await raise({ idempotencyKey: 'k-3' });
    expect(own()).toEqual([{ id: expect.any(String), name: FORCED }]);
    const [first, second] = cameras().map(({ nativeId }) => `cameras/${nativeId}`);
    const counts = Map.groupBy(simulator.triggered(), ({ source }) => source);
    expect([...counts].map(([source, events]) => [source, events.length])).toEqual(
      expect.arrayContaining([
        [first, 2],
        [second, 1],
      ]),
    );
    expect(new Set(simulator.triggered().map(({ type }) => type))).toEqual(new Set([own()[0]?.id]));
  });

  it('finds the type that a process before it created', async () => {
    await raise();
    const next = connect(simulator);
    await raise({ idempotencyKey: 'k-2' }, 0, next);
    await next.close();
    expect(own()).toHaveLength(1);
    expect(simulator.triggered()).toHaveLength(2);
  });

  it('does not create again what came through without a word', async () => {
    await raise({ idempotencyKey: 'k-0' });
    await loseTheAnswer();
    expect(simulator.triggered()).toHaveLength(2);
    await raise({ isRepeat: true });
    expect(simulator.triggered()).toHaveLength(2);
  });

  it('finds at once what was done and answered with a failure', async () => {
    await control(simulator, 'faults', { losesAnswers: true });
    await raise();
    await raise({ idempotencyKey: 'k-2' });
    expect(own()).toHaveLength(1);
    expect(simulator.triggered()).toHaveLength(2);
  });

  it('does not create it again in a new process either', async () => {
    await raise({ idempotencyKey: 'k-0' }, 1);
    await loseTheAnswer();
    const next = connect(simulator);
    await raise({ isRepeat: true }, 0, next);
    await next.close();
    expect(simulator.triggered()).toHaveLength(2);
  });

  it('takes no other event of the kind for the one that did not come through', async () => {
    await raise({ idempotencyKey: 'k-0' });
    await raise({ idempotencyKey: 'k-other' }, 1);
    await raise({ isRepeat: true });
    expect(simulator.triggered()).toHaveLength(3);
  });

  it('creates it again where the platform stores none: there is nothing to look at', async () => {
    await control(simulator, 'faults', { isStored: false });
    await raise();
    await raise({ isRepeat: true });
    expect(simulator.triggered()).toHaveLength(2);
    await control(simulator, 'faults', { status: 404, path: '/rest/v1/events', times: 1 });
    await raise({ isRepeat: true });
    expect(simulator.triggered()).toHaveLength(3);
  });

  it('is FORBIDDEN to a user that may not, and works as soon as it may', async () => {
    await control(simulator, 'faults', { readOnly: true });
    await expect(raise()).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining(FORCED) });
    await control(simulator, 'faults');
    await raise();
    expect(simulator.triggered()).toHaveLength(1);
  });

  it('refuses what is no id of a camera', async () => {
    const ref = { nativeId: '../1', nativeOrgId: '', nativeSiteId: '' };
    await expect(adapter.createCustomEvent?.(ref, draft(), never())).rejects.toMatchObject({ code: 'MISCONFIGURED' });
    expect(simulator.calls()).toBe(0);
  });
});

describe('our own events', () => {
  it('are not heard by us, whichever way they are delivered', async () => {
    await raise();
    const [type] = own();
    const listening = startListening(adapter);
    await settled(simulator, listening);
    await raise({ idempotencyKey: 'k-2' });
    await control(simulator, 'events', { type: type?.id, source: `userDefinedEvents/${type?.id}` });
    // Frames keep their order: with this one, all that came before it has arrived.
    const [guard] = simulator.userDefinedEvents();
    await control(simulator, 'events', { type: guard?.id, source: `userDefinedEvents/${guard?.id}` });
    await listening.until(({ vendorCode }) => vendorCode === 'Guard called');
    const told = listening.items.map(({ message }) => Buffer.from(message.body).toString('utf8'));
    expect(told.some((text) => text.includes(`"type":"${type?.id}"`))).toBe(true);
    expect(listening.drafts().map(({ vendorCode }) => vendorCode)).not.toContain(FORCED);
    expect(listening.drafts().map(({ vendorCode }) => vendorCode)).not.toContain(type?.id);
    await listening.stop();
  });

  it('are not heard by webhook', () => {
    const header = {
      ID: '7f1c2b3a-9d4e-4f50-8a6b-0c1d2e3f4a5b',
      Timestamp: '2026-11-20T09:41:12.1043219Z',
      Name: FORCED,
      Message: FORCED,
    };
    const decoded = (over: object) => {
      const body = Buffer.from(JSON.stringify({ Event: { EventHeader: { ...header, ...over } } }));
      return milestone.decode({ body, headers: {}, source: 'WEBHOOK', receivedAt: new Date() }, context);
    };
    expect(decoded({})).toEqual([]);
    expect(decoded({ Name: 'Guard called' })).toHaveLength(1);
  });
});

describe('the capability', () => {
  const capable = async () =>
    new Set(
      (await listAll(adapter))
        .filter(({ capabilities }) => capabilities?.includes('CUSTOM_EVENT'))
        .map(({ type }) => type),
    );

  it('is that of cameras only', async () => {
    expect(await capable()).toEqual(new Set(['CAMERA']));
  });

  it.each([
    ['who may not see user-defined events', { status: 403, path: '/userdefinedevents' }],
    ['a release without an Events API', { status: 404, path: '/rest/v1/events' }],
  ])('is not given to %s', async (_, faults) => {
    await control(simulator, 'faults', faults);
    expect(await capable()).toEqual(new Set());
  });

  it.each([
    ['stored events may not be read', { status: 403, path: '/rest/v1/events' }],
    ['it cannot be told now', { status: 500, path: '/userdefinedevents' }],
  ])('stays where %s', async (_, faults) => {
    await control(simulator, 'faults', faults);
    expect(await capable()).toEqual(new Set(['CAMERA']));
  });
});
