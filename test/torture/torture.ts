import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { deliver, eventually, healthEvent, query } from '../e2e/rig.ts';
import { breakDisk } from '../faults/fault.ts';
import { createRandom } from '../faults/random.ts';
import { type SandboxProcess, sandboxFolder, startSandboxProcess } from '../faults/sandbox-process.ts';
import { openStore, type Scope, type Store } from './check.ts';
import { findTargets, type LoadCounts, startLoad } from './load.ts';
import { startSubscriber, type Subscriber } from './subscriber.ts';

// The product is killed, stopped and starved of its disk again and again, under deliveries that come twice and out of
// order, while readers are cut off and come back. Afterwards everything must add up.

const PAUSE_MIN_MS = 2_000;
const PAUSE_MAX_MS = 5_000;
/** How long a disk stays broken. */
const BROKEN_MS = 1_000;
const FAULTS = ['KILL', 'KILL', 'KILL', 'STOP', 'DISK_FULL', 'DISK_BROKEN', 'KILL_WHILE_DISK_FULL'] as const;

export interface TortureOptions {
  readonly seconds: number;
  /** The same seed makes the same events and faults, though not at the same instants. */
  readonly seed: number;
  /** Events a second. */
  readonly rate: number;
  /** Is told what happens. */
  readonly say?: (line: string) => void;
}

export interface TortureReport {
  readonly faults: Readonly<Record<string, number>>;
  /** From a start to its first answer, in milliseconds. */
  readonly startsMs: readonly number[];
  readonly load: LoadCounts;
  readonly logged: number;
  readonly subscribers: readonly { readonly name: string; readonly events: number; readonly connections: number }[];
  /** Empty: everything adds up. */
  readonly violations: readonly string[];
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function torture({ seconds, seed, rate, say = () => {} }: TortureOptions): Promise<TortureReport> {
  const random = createRandom(seed);
  const folder = sandboxFolder();
  const startsMs: number[] = [];
  const faults: Record<string, number> = {};
  let product: SandboxProcess | null = null;
  const subscribers: { readonly subscriber: Subscriber; readonly scope: Scope | null }[] = [];
  let store: Store | null = null;

  async function start(port = 0): Promise<SandboxProcess> {
    const startedAt = performance.now();
    const started = await startSandboxProcess(folder.dir, port);
    startsMs.push(Math.round(performance.now() - startedAt));
    return started;
  }

  async function end(running: SandboxProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const ended = once(running.child, 'exit');
    running.child.kill(signal);
    await ended;
  }

  /** @returns the product that runs afterwards */
  async function strike(running: SandboxProcess, fault: (typeof FAULTS)[number]): Promise<SandboxProcess> {
    faults[fault] = (faults[fault] ?? 0) + 1;
    say(`${fault} in process ${running.child.pid}`);
    if (fault === 'KILL' || fault === 'STOP') {
      await end(running, fault === 'KILL' ? 'SIGKILL' : 'SIGTERM');
      return start(running.port);
    }
    const files = [running.databaseFile, `${running.databaseFile}-wal`];
    const injection = fault === 'DISK_BROKEN' ? 'fsync,fdatasync:error=EIO' : 'pwrite64:error=ENOSPC';
    const mend = await breakDisk(running.child.pid ?? 0, files, injection);
    await wait(BROKEN_MS);
    if (fault === 'KILL_WHILE_DISK_FULL') await running.kill();
    await mend();
    return fault === 'KILL_WHILE_DISK_FULL' ? start(running.port) : running;
  }

  try {
    product = await start();
    const { credentials, databaseFile } = product;
    const targets = await findTargets(credentials);
    const { cursor, event } = await firstEvent(product, targets);
    const readers: readonly [string, Scope | null][] = [
      ['admin', null],
      ...credentials.orgs.flatMap(({ id, key, siteIds }): [string, Scope][] => [
        [key, { orgId: id, siteId: null }],
        [`${key}:site`, { orgId: id, siteId: siteIds[0] ?? '' }],
      ]),
    ];
    for (const [name, scope] of readers) {
      const token = credentials.tokens[name] ?? '';
      subscribers.push({ subscriber: startSubscriber(name, credentials.wsUrl, token, cursor), scope });
    }

    const load = startLoad(targets, rate, random);
    const endsAt = performance.now() + seconds * 1_000;
    while (performance.now() < endsAt) {
      const pause = PAUSE_MIN_MS + random() * (PAUSE_MAX_MS - PAUSE_MIN_MS);
      await wait(pause / 2);
      // One reader at a time loses its connection by itself.
      subscribers[Math.floor(random() * subscribers.length)]?.subscriber.cut();
      await wait(pause / 2);
      if (performance.now() >= endsAt) break;
      product = await strike(product, FAULTS[Math.floor(random() * FAULTS.length)] ?? 'KILL');
    }
    say('the faults are over; what was not acknowledged is sent again');
    await load.finish();
    const settled = openStore(databaseFile);
    store = settled;
    await eventually(async () => ((await settled.isSettled()) ? true : undefined), 'everything is processed');

    const violations: string[] = [];
    for (const { subscriber, scope } of subscribers) {
      const expected = await caughtUp(settled, subscriber, event, scope);
      violations.push(...compare(subscriber, expected));
    }
    violations.push(...(await settled.findFaults(load.acknowledged)));
    const counts = load.counts();
    for (const status of counts.strange) violations.push(`a sender was answered with ${status}`);
    if (counts.acknowledged !== counts.made)
      violations.push(`${counts.made - counts.acknowledged} events never arrived`);
    return {
      faults,
      startsMs,
      load: counts,
      logged: (await settled.idsBehind(event, null)).length,
      subscribers: subscribers.map(({ subscriber: { name, received, connections } }) => ({
        name,
        events: received.length,
        connections,
      })),
      violations,
    };
  } finally {
    for (const { subscriber } of subscribers) subscriber.close();
    await store?.close();
    await product?.kill();
    folder.remove();
  }
}

/** A place in the stream that every reader starts behind. */
async function firstEvent(product: SandboxProcess, targets: Awaited<ReturnType<typeof findTargets>>) {
  const [target] = targets;
  const [device] = target?.devices ?? [];
  if (target === undefined || device === undefined) throw new Error('the sandbox has no device that sends webhooks');
  const id = randomUUID();
  await deliver(target.integration, healthEvent(device, 'online', new Date(), id));
  return eventually(async () => {
    const { data } = await query(
      product,
      '{ events(first: 20, filter: { includeSuppressed: true, includeMaintenance: true }) { edges { cursor node { id vendorEventId } } } }',
    );
    const edges: { cursor: string; node: { id: string; vendorEventId: string | null } }[] = data.events.edges;
    const edge = edges.find(({ node }) => node.vendorEventId === id);
    return edge === undefined ? undefined : { cursor: edge.cursor, event: edge.node.id };
  }, 'the first event is in the log');
}

/** Waits until the reader has as much as the log, or nothing more comes. @returns what it should have */
async function caughtUp(store: Store, { received }: Subscriber, event: string, scope: Scope | null): Promise<string[]> {
  for (;;) {
    const before = received.length;
    const expected = await store.idsBehind(event, scope);
    if (received.length >= expected.length) return expected;
    await wait(3_000);
    if (received.length === before) return expected;
  }
}

function compare({ name, received, gaps, surprises }: Subscriber, expected: readonly string[]): string[] {
  const violations = surprises.map((text) => `${name} was told ${text}`);
  if (gaps > 0) violations.push(`${name} was told of ${gaps} gaps`);
  const doubled = received.length - new Set(received).size;
  if (doubled > 0) violations.push(`${name} got ${doubled} events twice`);
  const at = expected.findIndex((id, index) => received[index] !== id);
  if (at !== -1)
    violations.push(`${name} got ${received[at] ?? 'nothing'} where the log has ${expected[at]} (place ${at})`);
  return violations;
}
