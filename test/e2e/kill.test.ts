import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { SandboxCredentials } from '../../sandbox/credentials.ts';
import { deliver, eventually, healthEvent, query, SimulatedDevices, watch } from './rig.ts';

// The whole sandbox as a process that is killed without warning, as a user would start it.

const SCRIPT = new URL('../../sandbox/main.ts', import.meta.url).pathname;
const children: ChildProcess[] = [];
const folders: string[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly credentials: SandboxCredentials;
}

async function start(cwd: string, port: number, args: readonly string[] = []): Promise<Running> {
  const child = spawn(process.execPath, [SCRIPT, '--still', '--devices', '30', ...args], {
    cwd,
    env: { PATH: process.env['PATH'], PORT: String(port), NODE_ENV: 'test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(`the sandbox ended: ${output}`);
    return output.includes('Convergraph sandbox:') ? true : undefined;
  }, 'the sandbox is up');
  const file = join(cwd, '.sandbox', 'credentials.json');
  expect(existsSync(file)).toBe(true);
  return { child, credentials: SandboxCredentials.parse(JSON.parse(readFileSync(file, 'utf8'))) };
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'convergraph-kill-'));
  folders.push(made);
  return made;
}

async function kill({ child }: Running): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

describe('a process killed between acknowledgement and processing', () => {
  it('loses no acknowledged event, doubles none, and lets the stream resume without a gap', async () => {
    const cwd = folder();
    let running = await start(cwd, 0);
    const port = Number(new URL(running.credentials.graphqlUrl).port);
    const [integration] = running.credentials.integrations;
    if (integration === undefined) throw new Error('no integration');
    const devices = SimulatedDevices.parse(await (await fetch(`${integration.simulatorUrl}/_sim/devices`)).json());
    const cursorOf = async () => {
      const { data } = await query(running, '{ events(first: 1) { pageInfo { startCursor } } }');
      return data.events.pageInfo.startCursor as string;
    };
    const [first] = devices;
    if (first === undefined) throw new Error('no device');
    await deliver(integration, healthEvent(first, 'offline'));
    const after = await eventually(async () => (await cursorOf()) ?? undefined, 'there is an event');

    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round++) {
      const sending = Array.from({ length: 120 }, async (_, index) => {
        const id = randomUUID();
        const device = devices[index % devices.length] ?? first;
        // Those that the kill cuts off were not acknowledged: they may be there or not.
        const answer = await deliver(
          integration,
          healthEvent(device, index % 2 ? 'online' : 'offline', new Date(), id),
        ).catch(() => null);
        if (answer?.status === 202) acknowledged.push(id);
      });
      await eventually(() => (acknowledged.length >= 40 * (round + 1) ? true : undefined), 'some are acknowledged');
      await kill(running);
      await Promise.all(sending);
      running = await start(cwd, port);
    }

    const feed = watch(
      running,
      'subscription($after: String) { events(after: $after) { __typename ... on EventDelivered { event { vendorEventId } } } }',
      { after },
    );
    try {
      const got = () => feed.items.flatMap((item) => item.data.events.event?.vendorEventId ?? []);
      await eventually(
        () => (acknowledged.every((id) => got().includes(id)) ? true : undefined),
        'every acknowledged event arrives',
      );
      expect(got().length).toBe(new Set(got()).size);
      expect(feed.items.filter((item) => item.data.events.__typename === 'StreamGap')).toEqual([]);
    } finally {
      await feed.close();
    }
  });

  it('keeps ids, secrets and tokens, until it is told to start over', async () => {
    const cwd = folder();
    const first = await start(cwd, 0);
    const port = Number(new URL(first.credentials.graphqlUrl).port);
    await kill(first);
    const second = await start(cwd, port);
    expect(second.credentials).toEqual(first.credentials);
    await kill(second);
    const third = await start(cwd, port, ['--reset']);
    expect(third.credentials.orgs.map(({ key }) => key)).toEqual(first.credentials.orgs.map(({ key }) => key));
    expect(third.credentials.orgs.map(({ id }) => id)).not.toEqual(first.credentials.orgs.map(({ id }) => id));
  });
});
