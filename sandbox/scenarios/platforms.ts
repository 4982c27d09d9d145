// Scenarios that are made to happen at the simulated platforms, which tell of them in their own ways.
import { z } from 'zod';
import { onlineDevices, quoted, type Scenario, ScenarioError, some } from './scenario.ts';
import { simulate, type Stage, type StageDevice, switchDevice } from './stage.ts';

/** One more than makes flapping by default, there and back. */
const FLAPS = 4;

const flapping: Scenario = {
  name: 'flapping',
  summary: `A device goes and comes back ${FLAPS} times within seconds.`,
  async run(stage) {
    const device = await firstTold(stage);
    for (let flap = 0; flap < FLAPS; flap++) {
      for (const state of ['offline', 'online'] as const) {
        await switchDevice(stage, device, state);
        await stage.until(
          `${device.name} is ${state}`,
          async () => (await stateOf(stage, device)) === state || undefined,
        );
      }
    }
    return {
      done: [`${device.name} changed its state ${FLAPS * 2} times; it ends online.`],
      watch: `{ device(id: "${device.id}") { status { state since flapping } events(first: 20, filter: { includeSuppressed: true }) { nodes { type occurredAt } } } }`,
    };
  },
};

/** In the words of `/_sim/devices`. */
async function stateOf({ call }: Stage, { id }: StageDevice): Promise<string | undefined> {
  const { device } = await call(
    'query State($id: ID!) { device(id: $id) { status { state } } }',
    { id },
    z.object({ device: z.object({ status: z.object({ state: z.string() }) }).nullable() }),
  );
  return device?.status.state.toLowerCase();
}

/** Platforms that are told of a webhook speak at once; others are asked, and may see none of it. */
async function firstTold(stage: Stage): Promise<StageDevice> {
  const pushing = new Set(
    stage.credentials.integrations.filter(({ webhookUrl }) => webhookUrl !== null).map(({ id }) => id),
  );
  const [device] = some(
    (await onlineDevices(stage)).filter(({ type, integrationId }) => type === 'CAMERA' && pushing.has(integrationId)),
    1,
  );
  if (device === undefined) throw new ScenarioError('this scenario needs a device whose platform tells of it');
  return device;
}

/** Has inventories read at once: not every platform tells of everything by itself, and not at once. */
async function readNow({ call }: Stage, integrationIds: Iterable<string>): Promise<void> {
  const key = `scenario-${Date.now()}`;
  await Promise.all(
    [...integrationIds].map((integrationId) =>
      call(
        'mutation Read($input: SyncIntegrationInput!) { syncIntegration(input: $input) { userErrors { message } } }',
        { input: { integrationId, idempotencyKey: key } },
        z.unknown(),
      ),
    ),
  );
}

function platformsOf(devices: readonly StageDevice[]): ReadonlySet<string> {
  return new Set(devices.map(({ integrationId }) => integrationId));
}

const OUTAGE_SECONDS = 30;

const outage: Scenario = {
  name: 'outage',
  summary: `A platform does not answer for ${OUTAGE_SECONDS} seconds; its devices keep their last status.`,
  async run(stage) {
    const device = await firstTold(stage);
    await stage.control(device.integrationId, 'outage', { seconds: OUTAGE_SECONDS });
    await readNow(stage, [device.integrationId]);
    return {
      done: [`The platform of ${device.name} is away for ${OUTAGE_SECONDS} seconds, and was asked for its inventory.`],
      watch: `{ device(id: "${device.id}") { name status { state observedAt stale } source { state } integration { name state ingestMode } } }`,
    };
  },
};

const CUT_EVERY = 20;

const powerCut: Scenario = {
  name: 'power-cut',
  summary: 'Every device of one site is gone at once, on all of its platforms.',
  async run(stage) {
    const online = await onlineDevices(stage);
    const [siteId] = some(online, 1).map((device) => device.siteId);
    const own = online.filter((device) => device.siteId === siteId);
    for (let start = 0; start < own.length; start += CUT_EVERY)
      await Promise.all(own.slice(start, start + CUT_EVERY).map((device) => switchDevice(stage, device, 'offline')));
    await readNow(stage, platformsOf(own));
    return {
      done: [`${own.length} devices of the site lost their power. --scenario calm brings them back.`],
      watch: `{ site(id: "${siteId ?? ''}") { name health { total online offline suppressed } } events(first: 10, filter: { siteIds: ${quoted(siteId === undefined ? [] : [siteId])}, types: ["incident.*"] }) { nodes { type summary } } }`,
    };
  },
};

const SKEW_MS = 600_000;
/** Batches in a row that must agree before a clock counts as wrong, and one more. */
const SKEWED = 4;

const clockSkew: Scenario = {
  name: 'clock-skew',
  summary: "A platform's clock is ten minutes ahead.",
  async run(stage) {
    const devices = await onlineDevices(stage);
    for (const device of devices) {
      const event = (id: string) => ({
        nativeId: device.nativeId,
        event_type: 'alarm',
        event_id: id,
        data: { event: 'trouble' },
        timestamp: new Date(Date.now() + SKEW_MS).toISOString(),
      });
      const run = `skew-${Date.now()}`;
      // Whose control takes an event with its own time is seen by asking; the others know no such call.
      if ((await stage.control(device.integrationId, 'events', event(`${run}-0`))) === null) continue;
      for (let index = 1; index < SKEWED; index++) {
        await arrived(stage, device, index);
        await stage.control(device.integrationId, 'events', event(`${run}-${index}`));
      }
      return {
        done: [
          `${device.name} told ${SKEWED} times of what will be in ten minutes.`,
          'Such events count as happening when they arrive, and the integration says once that its clock is wrong.',
        ],
        watch: `{ events(first: 10, filter: { integrationIds: ${quoted([device.integrationId])}, types: ["system.clock_skewed", "alarm.trouble"] }) { nodes { type occurredAt receivedAt clockSkewMs summary } } }`,
      };
    }
    throw new ScenarioError('no platform of this sandbox tells events with times of its own');
  },
};

/** Each delivery is to be a batch of its own: one that was held up says nothing about a clock. */
async function arrived(stage: Stage, { id }: StageDevice, count: number): Promise<void> {
  await stage.until('the event is in the log', async () => {
    const { events } = await stage.call(
      'query Arrived($id: ID!) { events(first: 0, filter: { deviceIds: [$id], types: ["alarm.trouble"] }) { totalCount } }',
      { id },
      z.object({ events: z.object({ totalCount: z.int().nullable() }) }),
    );
    return (events.totalCount ?? 0) >= count ? true : undefined;
  });
}

const SimulatedDevices = z.array(z.object({ nativeId: z.string(), state: z.string() }));

const calm: Scenario = {
  name: 'calm',
  summary: 'Ends what other scenarios began: outages are over, every device is back.',
  async run(stage) {
    const before = (await stage.devices()).filter(({ state }) => state !== 'ONLINE');
    for (const { id } of stage.credentials.integrations) {
      await stage.control(id, 'outage', { seconds: 0 });
      const devices = SimulatedDevices.catch([]).parse(await stage.control(id, 'devices'));
      for (const { nativeId, state } of devices)
        if (state === 'offline')
          await stage.control(id, `devices/${encodeURIComponent(nativeId)}`, { state: 'online' });
    }
    await readNow(stage, platformsOf(before));
    // A device that was never gone at its platform was only said to be, and is said to be back the same way.
    const ids = before.map(({ id }) => id).slice(0, 200);
    if (ids.length > 0) await simulate(stage, { deviceIds: ids, type: 'health.online' });
    return {
      done: [`${before.length} devices of ${stage.credentials.orgs[0]?.name ?? 'the first org'} were not online.`],
      watch: '{ deviceAggregate(groupBy: [STATE]) { keys { field value } count } }',
    };
  },
};

export const AT_PLATFORMS: readonly Scenario[] = [flapping, outage, powerCut, clockSkew, calm];
