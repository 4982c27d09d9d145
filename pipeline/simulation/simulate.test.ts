import { describe, expect, it, onTestFinished } from 'vitest';
import type { Principal, Scope } from '../../schema/principal.ts';
import { readLog } from '../../storage/event-log.ts';
import { markSandboxOrgs } from '../../storage/sandbox-orgs.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter, InboxFullError } from '../inbox/inbox-writer.ts';
import { createProcessor } from '../process/processor.ts';
import { acme, NOON, quiet, seed } from '../testing.ts';
import { createSimulation, NO_SIMULATION, type SimulateInput } from './simulate.ts';

function who(over: { scopes?: Scope[]; orgIds?: 'all' | string[]; siteIds?: string[] | null } = {}): Principal {
  const { scopes = ['control:write'], orgIds = 'all', siteIds = null } = over;
  return { id: 'tester', kind: 'USER', scopes: new Set(scopes), access: { orgIds, siteIds }, expiresAt: null };
}

const alive = () => new AbortController().signal;

eachEngine('simulated events', (open) => {
  async function start(isSandbox = true) {
    const db = await open();
    const seeded = await seed(db);
    if (isSandbox) await markSandboxOrgs(db);
    const inbox = createInboxWriter({ db, logger: quiet });
    const processor = createProcessor({ db, vendors: [acme], logger: quiet, now: () => NOON });
    onTestFinished(async () => {
      await processor.stop();
      await inbox.close();
    });
    const simulation = createSimulation({ db, inbox, now: () => NOON });
    const devices = [seeded.device('cam-1'), seeded.device('cam-2')];
    const run = (input: Partial<SimulateInput>, principal = who()) =>
      simulation.run(principal, { deviceIds: devices, type: 'health.offline', ...input }, alive());
    const log = async () => {
      await processor.process(seeded.integration.id);
      return readLog(db, { after: 0, upTo: await db.head(), limit: 5_000 });
    };
    return { db, seeded, devices, run, log };
  }

  it('are acknowledged, deduplicated and processed as any others, and counted exactly', async () => {
    const { db, devices, run, log } = await start();
    const outcome = await run({ count: 200, everyMs: 5, duplicateRate: 0.2, outOfOrder: true });
    expect(outcome).toEqual({ accepted: 320, deduplicated: 80, userErrors: [] });
    const events = await log();
    expect(events).toHaveLength(320);
    for (const id of devices) {
      const own = events.filter(({ device_id }) => device_id === id);
      expect(own).toHaveLength(160);
      // One event every five milliseconds, the last one now.
      expect(own.map(({ occurred_at }) => occurred_at).toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: 160 }, (_, index) => NOON - (159 - index) * 5),
      );
      // What overtook an older one makes that one late; only one of them moved the state.
      expect(own.filter(({ changed }) => changed === 1).length).toBeGreaterThanOrEqual(1);
      expect(own.filter(({ late }) => late === 1).length).toBeGreaterThan(0);
    }
    expect(new Set(events.map(({ origin, type, device_type }) => `${origin} ${type} ${device_type}`))).toEqual(
      new Set(['SANDBOX health.offline CAMERA']),
    );
    const states = await db.read.selectFrom('devices').select('state').where('id', 'in', devices).execute();
    expect(states).toEqual([{ state: 'OFFLINE' }, { state: 'OFFLINE' }]);
  });

  it('are new ones in every call', async () => {
    const { run, log } = await start();
    await run({ count: 3 });
    await run({ count: 3 });
    expect(await log()).toHaveLength(12);
  });

  it('say what the caller says, as the schema of their type has it', async () => {
    const { devices, run, log } = await start();
    const deviceIds = devices.slice(0, 1);
    const data = { zone: '7', actors: [{ kind: 'person', confidence: 0.9 }] };
    expect(await run({ deviceIds, type: 'alarm.intrusion', data })).toMatchObject({ accepted: 1, userErrors: [] });
    const [event] = await log();
    expect(event).toMatchObject({ family: 'ALARM', type: 'alarm.intrusion', severity: 3, state: null });
    expect(JSON.parse(event?.details ?? '')).toMatchObject({ ...data, restoral: false, siaCode: 'BA' });
    expect(await run({ deviceIds, type: 'alarm.intrusion', data: { zone: 7 } })).toMatchObject({
      accepted: 0,
      userErrors: [{ code: 'INVALID', path: ['data'], message: expect.stringContaining('data.zone') }],
    });
  });

  it.each<[string, Partial<SimulateInput>, string]>([
    ['no device', { deviceIds: [] }, 'INVALID'],
    ['too many devices', { deviceIds: Array.from({ length: 201 }, (_, index) => `dev_${index}`) }, 'INVALID'],
    ['no event', { count: 0 }, 'INVALID'],
    ['too many events of a device', { count: 1_001 }, 'INVALID'],
    [
      'too many in all',
      { deviceIds: Array.from({ length: 101 }, (_, index) => `dev_${index}`), count: 1_000 },
      'INVALID',
    ],
    ['a time before the first', { everyMs: -1 }, 'INVALID'],
    ['more than a week', { count: 1_000, everyMs: 3_600_000 }, 'INVALID'],
    ['an impossible share', { duplicateRate: 1.1 }, 'INVALID'],
    ['a type that does not exist', { type: 'health.sleepy' }, 'INVALID'],
    ['a type that stands for many', { type: 'vendor.x' }, 'INVALID'],
    ['what only we can find', { type: 'inventory.added' }, 'NOT_SUPPORTED'],
    ['a device that does not exist', { deviceIds: ['dev_none'] }, 'NOT_FOUND'],
  ])('are refused for %s', async (_, input, code) => {
    const { run, log } = await start();
    expect(await run(input)).toMatchObject({ accepted: 0, deduplicated: 0, userErrors: [{ code }] });
    expect(await log()).toEqual([]);
  });

  it('are refused outside of a sandbox, whoever asks', async () => {
    const { run, log } = await start(false);
    const refused = { accepted: 0, deduplicated: 0, userErrors: [{ code: 'FORBIDDEN_IN_PRODUCTION' }] };
    expect(await run({})).toMatchObject(refused);
    expect(await run({}, who({ scopes: ['admin'] }))).toMatchObject(refused);
    expect(await log()).toEqual([]);
  });

  it('are refused when one of the devices is outside of a sandbox', async () => {
    const { db, devices, run, log } = await start();
    const other = await seed(db, { name: 'b' });
    expect(await run({ deviceIds: [...devices, other.device('cam-1')] })).toMatchObject({
      userErrors: [{ code: 'FORBIDDEN_IN_PRODUCTION' }],
    });
    expect(await log()).toEqual([]);
  });

  it('need the scope, and devices within what the caller may see', async () => {
    const { db, seeded, devices, run } = await start();
    expect(await run({}, who({ scopes: ['events:read', 'integrations:write'] }))).toMatchObject({
      userErrors: [{ code: 'FORBIDDEN' }],
    });
    expect(await run({}, who({ scopes: ['admin'] }))).toMatchObject({ accepted: 2 });
    expect(await run({}, who({ orgIds: ['org_b'] }))).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
    await db.write((tx) =>
      tx
        .updateTable('devices')
        .set({ site_id: seeded.secondSiteId })
        .where('id', '=', devices[1] ?? '')
        .execute(),
    );
    const ofSite = who({ siteIds: [seeded.siteId] });
    expect(await run({}, ofSite)).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
    expect(await run({ deviceIds: devices.slice(0, 1) }, ofSite)).toMatchObject({ accepted: 1, userErrors: [] });
  });

  it('need a site for their device', async () => {
    const { db, devices, run } = await start();
    await db.write((tx) =>
      tx
        .updateTable('devices')
        .set({ site_id: null })
        .where('id', '=', devices[1] ?? '')
        .execute(),
    );
    expect(await run({})).toMatchObject({ userErrors: [{ code: 'INVALID', path: ['deviceIds'] }] });
  });

  it('stop when the inbox is full or the caller is gone, and say how far they came', async () => {
    const { db, devices } = await start();
    let room = 1_500;
    const inbox = {
      append: () =>
        room-- > 0
          ? Promise.resolve({ deliveryId: 'dlv_1', isDuplicate: false })
          : Promise.reject(new InboxFullError('too many deliveries wait')),
    };
    const simulation = createSimulation({ db, inbox, now: () => NOON });
    const input = { deviceIds: devices, type: 'health.offline', count: 1_000 };
    expect(await simulation.run(who(), input, alive())).toMatchObject({
      accepted: 1_500,
      deduplicated: 0,
      userErrors: [{ code: 'RATE_LIMITED', message: expect.stringContaining('500 deliveries were not made') }],
    });
    room = 10_000;
    expect(await simulation.run(who(), input, AbortSignal.abort())).toMatchObject({
      accepted: 0,
      userErrors: [{ code: 'RATE_LIMITED' }],
    });
  });
});

describe('a process that takes no events in', () => {
  it('makes none up', async () => {
    const input = { deviceIds: ['dev_1'], type: 'health.offline' };
    expect(await NO_SIMULATION.run(who(), input, alive())).toMatchObject({
      userErrors: [{ code: 'FORBIDDEN_IN_PRODUCTION' }],
    });
  });
});
