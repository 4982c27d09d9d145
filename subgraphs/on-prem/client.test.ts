import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { createPushClient, HEARTBEAT_MS, MAX_BATCH, MAX_QUEUED, type PushItem } from './client.ts';

const TARGET = { url: 'http://receiver.invalid/', profile: 'TIMESTAMPED_HMAC', secret: 'a secret of decent length' };
const START = Date.UTC(2026, 10, 20);
const HOUR = 3_600_000;

/** A receiver in memory, and time that passes only by waiting. */
function start(answer: (attempt: number, nowMs: number) => number | null, backlog: readonly PushItem[] = []) {
  let now = START;
  let attempt = 0;
  const bodies: { events?: Record<string, unknown>[]; [member: string]: unknown }[] = [];
  let beat = (): void => {};
  let isBeating = true;
  const client = createPushClient({
    now: () => new Date(now),
    backlog,
    every(_, job) {
      beat = job;
      return () => {
        isBeating = false;
      };
    },
    async post(_, headers, body) {
      const status = answer((attempt += 1), now);
      if (status === null) throw new Error('nobody there');
      if (status < 300) {
        const text = headers['content-encoding'] === 'gzip' ? gunzipSync(body) : Buffer.from(body);
        bodies.push(JSON.parse(text.toString()));
      }
      return status;
    },
    async sleep(ms) {
      now += ms;
    },
  });
  return {
    client,
    bodies,
    clock: () => now,
    /** A heartbeat's interval passes. */
    beat: () => {
      now += HEARTBEAT_MS;
      beat();
    },
    isBeating: () => isBeating,
  };
}

function event(device: string, index: number): PushItem {
  return { kind: 'EVENT', value: { device_id: device, status: index % 2 === 0 ? 'offline' : 'online', index } };
}

it('loses nothing in an outage of two hours, and keeps the order of each device', async () => {
  const { client, bodies, clock } = start((_, now) => (now < START + 2 * HOUR ? null : 202));
  client.connect(TARGET);
  for (let index = 0; index < 1_000; index += 1) client.send(event(`cam-${index % 7}`, index));
  await client.idle();
  expect(clock() - START).toBeGreaterThanOrEqual(2 * HOUR);
  expect(clock() - START).toBeLessThan(2 * HOUR + 30_001);
  const taken = bodies.flatMap((body) => body.events ?? [body]);
  expect(taken.map(({ index }) => index)).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
  expect(bodies.length).toBeLessThanOrEqual(1_000 / MAX_BATCH + 1);
  expect(client.counts()).toMatchObject({ taken: 1_000, refused: 0 });
});

it.each([401, 403, 408, 429, 500, 503])('tries again after %i', async (status) => {
  const { client, bodies } = start((attempt) => (attempt < 3 ? status : 202));
  client.connect(TARGET);
  client.send(event('cam-1', 0));
  await client.idle();
  expect(client.counts()).toEqual({ taken: 1, attempts: 3, refused: 0 });
  expect(bodies).toEqual([{ device_id: 'cam-1', status: 'offline', index: 0 }]);
});

it.each([400, 413, 415])('lets what is behind pass when one is answered with %i', async (status) => {
  const { client, bodies } = start((attempt) => (attempt === 1 ? status : 202));
  client.connect(TARGET);
  client.send({ kind: 'BODY', value: { devices: 'broken' } });
  client.send(event('cam-1', 0));
  await client.idle();
  expect(client.counts()).toMatchObject({ taken: 1, refused: 1 });
  expect(bodies).toHaveLength(1);
});

it('keeps lists and events in the order in which they were sent, and waits for a target', async () => {
  const { client, bodies } = start(() => 202, [event('cam-1', 0)]);
  client.send({ kind: 'BODY', value: { devices: [] } });
  client.send(event('cam-1', 1));
  client.send(event('cam-1', 2));
  client.connect(TARGET);
  await client.idle();
  expect(bodies.map((body) => Object.keys(body)[0])).toEqual(['device_id', 'devices', 'events']);
});

it('is heard while nothing happens, and not more often than that', async () => {
  const { client, bodies, beat, clock, isBeating } = start(() => 202);
  beat();
  await client.idle();
  expect(bodies).toEqual([]);
  client.connect(TARGET);
  beat();
  await client.idle();
  expect(bodies).toEqual([{ heartbeat: { sent_at: new Date(clock()).toISOString(), interval_seconds: 60 } }]);
  client.close();
  expect(isBeating()).toBe(false);
});

it('does not queue heartbeats behind what waits, nor send one where events are taken', async () => {
  const { client, bodies, beat } = start(() => 202);
  client.send(event('cam-1', 0));
  for (let minute = 0; minute < 10; minute += 1) beat();
  client.connect(TARGET);
  await client.idle();
  expect(bodies).toHaveLength(1);
  expect(bodies[0]).not.toHaveProperty('heartbeat');
});

it('says when no more can wait', () => {
  const { client } = start(() => 202);
  let queued = 0;
  while (client.send(event('cam-1', queued))) queued += 1;
  expect(queued).toBe(MAX_QUEUED);
  client.close();
});
