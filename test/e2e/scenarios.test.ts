import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EVENT_CODECS } from '../../schema/formats/formats.ts';
import { SCENARIOS } from '../../sandbox/scenarios/scenarios.ts';
import { createStage, type Stage, type StageDevice } from '../../sandbox/scenarios/stage.ts';
import { allVendors, eventually, type Json, openSandbox, operation, query } from './rig.ts';

// Each scenario does what it says, in a sandbox as an explorer has it. They share one, and calm is between them.

const SLUGS = ['milestone', 'sensors', 'vendor-cloud', 'vxg'];
const vendors = allVendors.filter(({ slug }) => SLUGS.includes(slug));
/** A deployment without one of them has nothing to show here. */
const isDeployed = vendors.length === SLUGS.length;

let sandbox: Awaited<ReturnType<typeof openSandbox>>;
let stage: Stage;

beforeAll(async () => {
  if (!isDeployed) return;
  sandbox = await openSandbox({ vendors, devices: 120 });
  stage = createStage(sandbox.credentials);
});

afterAll(() => sandbox?.close());

async function play(name: string): Promise<{ done: string; watched: Json }> {
  const scenario = SCENARIOS.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`);
  const { done, watch } = await scenario.run(stage);
  return { done: done.join(' '), watched: () => query(sandbox, watch) };
}

/** What the report says to look at, once it shows what it should. */
async function shown(name: string, what: string, find: (data: Json, answer: Json) => unknown): Promise<string> {
  const { done, watched } = await play(name);
  await eventually(async () => {
    const answer = await watched();
    if (answer.data === undefined) throw new Error(JSON.stringify(answer.errors));
    return answer.data !== null && find(answer.data, answer) === true ? true : undefined;
  }, what);
  return done;
}

async function everybodyIsBack(): Promise<readonly StageDevice[]> {
  await shown('calm', 'the states are counted', ({ deviceAggregate }) => deviceAggregate.length > 0);
  return eventually(async () => {
    const devices = await stage.devices();
    return devices.length > 20 && devices.every(({ state }) => state === 'ONLINE') ? devices : undefined;
  }, 'every device is online');
}

describe.runIf(isDeployed)('scenario', () => {
  it('names are unique', () => {
    const names = SCENARIOS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('calm: brings every device back', async () => {
    const [device] = await stage.devices();
    await stage.control(device?.integrationId ?? '', `devices/${encodeURIComponent(device?.nativeId ?? '')}`, {
      state: 'offline',
    });
    expect((await everybodyIsBack()).length).toBeGreaterThan(20);
  });

  it('storm: one event per delivery that was no repetition, one change per device', async () => {
    const done = await shown('storm', 'the storm is in the log', ({ events }) => events.totalCount === 800);
    expect(done).toMatch(/1000 deliveries: 800 events, 200 repetitions/);
    const offline = (await stage.devices()).filter(({ state }) => state === 'OFFLINE');
    expect(offline).toHaveLength(20);
    await everybodyIsBack();
  });

  it('duplicates: one event that knows how often it was repeated', async () => {
    const find = ({ events }: Json) => events.nodes[0]?.duplicateCount === 99;
    expect(await shown('duplicates', 'the alarm is in the log', find)).toMatch(/1 event, 99 repetitions/);
  });

  it('disorder: a list in order of what happened', async () => {
    const done = await shown('disorder', 'all of it is in the log', ({ events }) => {
      const times = events.nodes.map(({ occurredAt }: Json) => Date.parse(occurredAt));
      return times.length === 20 && times.every((at: number, index: number) => index === 0 || at < times[index - 1]);
    });
    expect(done).toMatch(/20 troubles/);
  });

  it('flapping: a device that is said to flap', async () => {
    const what = 'the device flaps';
    const find = ({ device }: Json) => device.status.state === 'ONLINE' && device.status.flapping === true;
    expect(await shown('flapping', what, find)).toMatch(/8 times/);
  });

  it('outage: the last status answers, the platform itself does not', async () => {
    const find = ({ device }: Json, { errors }: Json) =>
      device.status.state === 'ONLINE' && device.source === null && errors?.length === 1;
    expect(await shown('outage', 'the platform is away', find)).toMatch(/away for 30 seconds/);
    await everybodyIsBack();
  });

  it('clock-skew: the integration says that its clock is wrong, and nothing happens in the future', async () => {
    const done = await shown('clock-skew', 'the clock is found out', ({ events }) => {
      const told = events.nodes.some(({ type }: Json) => type === 'system.clock_skewed');
      return told && events.nodes.every(({ occurredAt }: Json) => Date.parse(occurredAt) <= Date.now());
    });
    expect(done).toMatch(/4 times/);
  });

  it('power-cut: every device of one site, and of no other', async () => {
    const before = await everybodyIsBack();
    const done = await shown('power-cut', 'one incident explains the dark site', ({ site, events }) => {
      return site.health.offline > 0 && events.nodes.some(({ type }: Json) => type === 'incident.opened');
    });
    const count = Number(/^(\d+) devices/.exec(done)?.[1]);
    const after = await eventually(async () => {
      const down = (await stage.devices()).filter(({ state }) => state !== 'ONLINE');
      return down.length >= count ? down : undefined;
    }, 'the site is dark');
    const [siteId] = after.map((device) => device.siteId);
    expect(new Set(after.map((device) => device.siteId)).size).toBe(1);
    expect(count).toBe(before.filter((device) => device.siteId === siteId).length);
    await everybodyIsBack();
  });

  it('fire-panel: an event at the linked camera of every platform that takes them', async () => {
    const done = await shown('fire-panel', 'the panel is in alarm', ({ device }) =>
      device.events.nodes.some(({ type }: Json) => type === 'alarm.fire'),
    );
    expect(done).toMatch(/VXG/);
    expect(done).toMatch(/MILESTONE/);
    const vxg = sandbox.platforms.find(({ org, vendor }) => org.key === 'aurora' && vendor.slug === 'vxg');
    await eventually(async () => {
      const created: Json = await (await fetch(`${vxg?.simulator.url}/_sim/events`)).json();
      return created.some(({ meta }: Json) => meta.sensor_name === 'Fire panel') ? true : undefined;
    }, 'the camera has the event');
  });
});

describe.runIf(isDeployed)('saved operations', () => {
  it('14: every type with its schema and samples that decode', async () => {
    const { data, errors, extensions } = await query(sandbox, operation('14-explore-catalogue'), { family: 'ALARM' });
    expect(errors).toBeUndefined();
    expect(data.eventTypes.length).toBeGreaterThan(20);
    for (const { name, native, cloudEvent, webhook } of data.eventTypes) {
      const event = EVENT_CODECS.NATIVE.decode(native);
      expect(event.type).toBe(name);
      expect(EVENT_CODECS.CLOUDEVENTS.decode(cloudEvent)).toEqual(event);
      expect(EVENT_CODECS.STANDARD_WEBHOOK.decode(webhook)).toEqual(event);
    }
    const { cost, limit, remaining, resetAt } = data.viewer.rateLimit;
    expect(extensions?.cost.requested).toBe(cost);
    expect(cost).toBeGreaterThan(data.eventTypes.length);
    expect(remaining).toBeLessThanOrEqual(limit - cost);
    expect(Date.parse(resetAt)).toBeGreaterThan(0);
    const again = await query(sandbox, operation('14-who-am-i'));
    expect(again.data.viewer.rateLimit).toMatchObject({ cost: again.extensions?.cost.requested, limit });
    const fire = data.eventTypes.find(({ name }: Json) => name === 'alarm.fire');
    expect(new Set(fire.mappings.map(({ vendor }: Json) => vendor)).size).toBeGreaterThan(1);
  });

  it('15: 200 for each device, less the repetitions', async () => {
    const devices = (await everybodyIsBack()).slice(0, 3).map(({ id }) => id);
    const { data, errors } = await query(sandbox, operation('15-simulate-storm'), { devices });
    expect(errors).toBeUndefined();
    expect(data.simulateEvents).toEqual({ accepted: 480, deduplicated: 120, userErrors: [] });
    const refused = await query(sandbox, operation('15-simulate-storm'), { devices }, 'aurora:site');
    expect(refused.data.simulateEvents).toMatchObject({ accepted: 0, userErrors: [{ code: 'FORBIDDEN' }] });
  });
});
