// Scenarios of events that are made up by simulateEvents: what a sender does wrong on the way.
import { onlineDevices, quoted, type Scenario, some } from './scenario.ts';
import { simulate } from './stage.ts';

const STORM_DEVICES = 20;
const STORM_COUNT = 50;

const storm: Scenario = {
  name: 'storm',
  summary: `${STORM_DEVICES} devices go offline, each told ${STORM_COUNT} times, repeated and out of order.`,
  async run(stage) {
    const devices = await onlineDevices(stage);
    const deviceIds = some(devices, Math.min(STORM_DEVICES, Math.max(1, devices.length))).map(({ id }) => id);
    const { accepted, deduplicated } = await simulate(stage, {
      deviceIds,
      type: 'health.offline',
      count: STORM_COUNT,
      everyMs: 5,
      duplicateRate: 0.2,
      outOfOrder: true,
    });
    return {
      done: [
        `${deviceIds.length * STORM_COUNT} deliveries: ${accepted} events, ${deduplicated} repetitions.`,
        'Every device changed its state once; what came late is flagged and changed nothing.',
      ],
      watch: `{ events(first: 50, filter: { deviceIds: ${quoted(deviceIds)}, types: ["health.offline"], includeSuppressed: true }) { totalCount nodes { occurredAt late duplicateCount summary } } }`,
    };
  },
};

const DUPLICATES = 100;

const duplicates: Scenario = {
  name: 'duplicates',
  summary: `An alarm that a sender delivers ${DUPLICATES} times.`,
  async run(stage) {
    const [device] = some(await onlineDevices(stage), 1);
    const deviceIds = device === undefined ? [] : [device.id];
    const { accepted, deduplicated } = await simulate(stage, {
      deviceIds,
      type: 'alarm.intrusion',
      count: DUPLICATES,
      duplicateRate: 1,
    });
    return {
      done: [`${DUPLICATES} deliveries at ${device?.name ?? ''}: ${accepted} event, ${deduplicated} repetitions.`],
      watch: `{ events(first: 1, filter: { deviceIds: ${quoted(deviceIds)}, types: ["alarm.intrusion"] }) { nodes { id duplicateCount summary } } }`,
    };
  },
};

const DISORDER = 20;

const disorder: Scenario = {
  name: 'disorder',
  summary: 'A device is back, and hours of its outage are delivered afterwards, in no order.',
  async run(stage) {
    const [device] = some(await onlineDevices(stage), 1);
    const deviceIds = device === undefined ? [] : [device.id];
    await simulate(stage, { deviceIds, type: 'health.online' });
    await simulate(stage, {
      deviceIds,
      type: 'alarm.trouble',
      count: DISORDER,
      everyMs: 60_000,
      outOfOrder: true,
    });
    return {
      done: [
        `${device?.name ?? ''} is online, and ${DISORDER} troubles of the last ${DISORDER} minutes came in any order.`,
        'Lists are in order of what happened; the stream is in order of arrival.',
      ],
      watch: `{ events(first: ${DISORDER}, filter: { deviceIds: ${quoted(deviceIds)}, types: ["alarm.trouble"] }) { nodes { type occurredAt receivedAt late } } }`,
    };
  },
};

export const MADE_UP: readonly Scenario[] = [storm, duplicates, disorder];
