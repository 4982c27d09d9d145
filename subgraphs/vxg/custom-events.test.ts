import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CustomEventDraft } from '../../adapter-kit/model.ts';
import type { VxgClient } from './client.ts';
import { createCustomEvents, type OwnEvent, tagsOf, toOwnEvent } from './custom-events.ts';
import { connect, control, never, openClient, simulate } from './fixtures/rig.ts';
import type { VxgSimulator } from './simulator.ts';

let simulator: VxgSimulator;
let client: VxgClient;
beforeEach(async () => {
  simulator = await simulate({ devices: 12 });
  client = openClient(simulator, { settings: { timeoutMs: 1_000 } });
});
afterEach(async () => {
  await client.close();
  await simulator.close();
});

const cameraId = (): string => simulator.devices()[0]?.nativeId ?? '';

const leak = (over: Partial<OwnEvent> = {}): OwnEvent => ({
  ownId: '01JCZ5',
  cameraId: cameraId(),
  typeName: 'water_leak',
  at: new Date('2026-11-18T06:12:41.250Z'),
  metadata: { sensor_id: 'wl-07', severity: 'high' },
  ...over,
});

const draft = (over: Partial<CustomEventDraft> = {}): CustomEventDraft => ({
  idempotencyKey: 'k-1',
  isRepeat: false,
  eventId: 'evt_01JCZ5',
  family: 'SENSOR',
  type: 'access.forced_open',
  severity: 'CRITICAL',
  occurredAt: new Date(),
  summary: 'Door 4 was forced',
  source: { deviceId: 'dev_door4', name: 'Door 4', type: 'DOOR' },
  metadata: { reader: 'rd-4', card: { last4: '1234' } },
  ...over,
});

const made = () => simulator.installation.events();

describe('raise', () => {
  it('makes the type where it is missing, then the event with all that was said', async () => {
    const { id, existed } = await createCustomEvents(client).raise(leak(), never());
    expect(existed).toBe(false);
    expect(simulator.installation.typesOf(Number(cameraId()))).toContain('water_leak');
    expect(made()).toEqual([
      {
        id: Number(id),
        camid: Number(cameraId()),
        name: 'water_leak',
        time: '2026-11-18T06:12:41.250',
        meta: { sensor_id: 'wl-07', severity: 'high', evt_01JCZ5: '' },
      },
    ]);
  });

  it('asks for type and token of a camera once', async () => {
    const events = createCustomEvents(client);
    await events.raise(leak(), never());
    const before = simulator.calls();
    await events.raise(leak({ ownId: '01JCZ6' }), never());
    expect(simulator.calls() - before).toBe(1);
  });

  it('finds its event instead of doubling it when the answer was lost', async () => {
    await client.createEventType(cameraId(), 'water_leak', never());
    await control(simulator, 'faults', { cutAfter: true, path: 'POST /api/v2/storage/events', times: 1 });
    const { id, existed } = await createCustomEvents(client).raise(leak(), never());
    expect(existed).toBe(true);
    expect(made().map((event) => String(event.id))).toEqual([id]);
  });

  it('does not send again what did not come through: its caller decides, and says that it may exist', async () => {
    await client.createEventType(cameraId(), 'water_leak', never());
    await control(simulator, 'faults', { status: 503, path: 'POST /api/v2/storage/events', times: 1 });
    const events = createCustomEvents(client);
    await expect(events.raise(leak(), never())).rejects.toMatchObject({ code: 'UNREACHABLE', retryable: true });
    expect(made()).toEqual([]);
    expect(await events.raise(leak(), never(), true)).toMatchObject({ existed: false });
    expect(await events.raise(leak(), never(), true)).toMatchObject({ existed: true });
    expect(made()).toHaveLength(1);
  });

  it('gets a new token where the old one was revoked', async () => {
    const events = createCustomEvents(client);
    await events.raise(leak(), never());
    await control(simulator, 'revoke', {});
    await expect(events.raise(leak({ ownId: '01JCZ7' }), never())).resolves.toMatchObject({ existed: false });
  });

  it('says that it may not, with a token that only watches', async () => {
    const watching = openClient(simulator, { apiKey: simulator.tokens.camera(Number(cameraId()), 'watch') });
    await expect(createCustomEvents(watching).raise(leak(), never())).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await watching.close();
  });

  it('works with the token of a group, too', async () => {
    const [site] = simulator.installation.world.sites;
    const ofGroup = openClient(simulator, { apiKey: simulator.tokens.group(site?.groupId ?? 0) });
    await expect(createCustomEvents(ofGroup).raise(leak(), never())).resolves.toMatchObject({ existed: false });
    await ofGroup.close();
  });

  it.each([{ typeName: 'Water leak' }, { ownId: 'a,b' }, { cameraId: '../1' }])('refuses %o', async (over) => {
    await expect(createCustomEvents(client).raise(leak(over), never())).rejects.toMatchObject({
      code: 'MISCONFIGURED',
    });
    expect(simulator.calls()).toBe(0);
  });
});

describe('tagsOf', () => {
  it('writes what is searched for as a tag of its own', () => {
    expect(tagsOf(leak({ searchable: ['sensor_id'] }))).toMatchObject({ sensor_id: 'wl-07', 'sensor_id_wl-07': '' });
  });

  it('keeps to its bounds, and the tag that tells our own among them', () => {
    const metadata = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`tag${index}`, 'x'.repeat(900)]));
    const tags = tagsOf(leak({ metadata: { ...metadata, ['y'.repeat(65)]: '1' } }));
    expect(Object.keys(tags)).toHaveLength(32);
    expect(Object.keys(tags)).toContain('evt_01JCZ5');
    expect(Math.max(...Object.values(tags).map((value) => value.length))).toBe(512);
  });
});

describe('createCustomEvent', () => {
  it('raises an event of a sensor at the camera, once however often it is repeated, and does not hear it itself', async () => {
    const adapter = connect(simulator, { settings: { eventIntervalMs: 50 } });
    const ref = { nativeId: cameraId(), nativeOrgId: '', nativeSiteId: '' };
    await adapter.createCustomEvent?.(ref, draft(), never());
    await adapter.createCustomEvent?.(ref, draft({ isRepeat: true }), never());
    expect(made()).toHaveLength(1);
    expect(made()[0]).toMatchObject({
      name: 'door_forced',
      meta: {
        sensor_id: 'dev_door4',
        sensor_id_dev_door4: '',
        sensor_name: 'Door 4',
        severity: 'critical',
        reader: 'rd-4',
        card: '{"last4":"1234"}',
        evt_01JCZ5: '',
      },
    });
    await adapter.close();
  });

  it('lets what the source said stand where names meet, and takes our time for a clock that is far off', () => {
    const now = new Date('2026-11-18T06:00:00Z');
    const occurredAt = new Date('2026-11-18T04:00:00Z');
    const event = toOwnEvent('1', draft({ occurredAt, metadata: { severity: 'mine' }, type: 'sensor.gas-level' }), now);
    expect(event).toMatchObject({
      at: now,
      typeName: 'sensor_gas_level',
      metadata: { severity: 'mine', source_time: '2026-11-18T04:00:00.000Z' },
    });
    expect(toOwnEvent('1', draft({ metadata: ['a'] }), now).metadata['metadata']).toEqual(['a']);
  });
});

describe('client', () => {
  it('adds a tag to an event, and changes it when it is there', async () => {
    const id = await client
      .createEventType(cameraId(), 'water_leak', never())
      .then(() => client.createEvent({ cameraId: cameraId(), name: 'water_leak', at: new Date(), tags: {} }, never()));
    await client.setEventTag(id, 'process', 'in_progress', never());
    await client.setEventTag(id, 'process', 'processed', never());
    expect(made()[0]?.meta).toEqual({ process: 'processed' });
  });

  it('refuses an event of a type that the camera does not have', async () => {
    const event = { cameraId: cameraId(), name: 'nonesuch', at: new Date(), tags: {} };
    await expect(client.createEvent(event, never())).rejects.toMatchObject({ code: 'BAD_PAYLOAD', status: 400 });
  });

  it('makes a clip and is told when it is done', async () => {
    const until = new Date();
    const from = new Date(until.getTime() - 20_000);
    const clip = await client.createClip({ cameraId: cameraId(), title: 'Leak', from, until }, never());
    expect(clip.status).toBe('pending');
    expect((await client.clip(cameraId(), clip.id, never())).status).toBe('pending');
    expect(await client.clip(cameraId(), clip.id, never())).toMatchObject({ status: 'done', url: expect.any(String) });
  });

  it.each([0, 1, 5])('asks for a clip that takes %i polls as often as its caller wants', async (clipPolls) => {
    await control(simulator, 'faults', { clipPolls });
    const until = new Date();
    const from = new Date(until.getTime() - 20_000);
    const { id, status } = await client.createClip({ cameraId: cameraId(), title: 'Leak', from, until }, never());
    const statuses = [status];
    while (statuses.at(-1) === 'pending') statuses.push((await client.clip(cameraId(), id, never())).status);
    expect(statuses).toEqual([...Array.from({ length: clipPolls }, () => 'pending'), 'done']);
  });

  it('finds recordings, clips and a picture of now', async () => {
    const at = new Date('2026-11-18T06:12:41Z');
    const [recording] = await client.recordings(cameraId(), at, new Date(at.getTime() + 1_000), never());
    expect(recording?.start).toBe('2026-11-18T06:12:41.000');
    expect(await client.clipsAt(at, never())).toEqual([]);
    expect((await client.liveImage(cameraId(), never())).url).toMatch(/^https:/);
  });
});
