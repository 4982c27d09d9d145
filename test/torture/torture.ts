import { randomUUID } from 'node:crypto';
import { deliver, eventually, healthEvent, query } from '../e2e/rig.ts';
import { breakDisk, storeFiles } from '../faults/fault.ts';
import { createRandom } from '../faults/random.ts';
import { type SandboxProcess, sandboxFolder, startSandboxProcess } from '../faults/sandbox-process.ts';
import { startPostgres } from '../setup/postgres-server.ts';
import { openStore, type Scope, type Store, type Violation } from './check.ts';
import { findTargets, type LoadCounts, startLoad } from './load.ts';
import { endProduct, killDatabaseSession, killHelper } from './processes.ts';
import { startSubscriber, type Subscriber } from './subscriber.ts';

// The product is killed, stopped and starved of its disk again and again, under deliveries that come twice and out of
// order, while readers are cut off and come back. Afterwards everything must add up.

const PAUSE_MIN_MS = 2_000;
const PAUSE_MAX_MS = 5_000;
/** How long a disk stays broken. */
const BROKEN_MS = 1_000;
/** A store that settles nothing for so long will not. */
const SETTLE_PATIENCE_MS = 60_000;
const LOOK_MS = 500;

type Fault =
  | 'KILL'
  | 'KILL_HELPER'
  | 'KILL_DATABASE_SESSION'
  | 'STOP'
  | 'DISK_FULL'
  | 'DISK_BROKEN'
  | 'KILL_WHILE_DISK_FULL';

/** What may happen, as often as it stands here. Disks are broken by strace, under the embedded database only. */
const FAULTS: Readonly<Record<'all' | 'kills', Readonly<Record<'sqlite' | 'postgres', readonly Fault[]>>>> = {
  all: {
    sqlite: ['KILL', 'KILL', 'KILL', 'KILL_HELPER', 'STOP', 'DISK_FULL', 'DISK_BROKEN', 'KILL_WHILE_DISK_FULL'],
    postgres: ['KILL', 'KILL', 'KILL_HELPER', 'STOP', 'KILL_DATABASE_SESSION'],
  },
  kills: {
    sqlite: ['KILL', 'KILL', 'KILL_HELPER'],
    postgres: ['KILL', 'KILL', 'KILL_HELPER', 'KILL_DATABASE_SESSION'],
  },
};

export interface TortureOptions {
  readonly seconds: number;
  /** The same seed makes the same events and faults, though not at the same instants. */
  readonly seed: number;
  /** Events a second. */
  readonly rate: number;
  /** Default `sqlite`; for `postgres` a private server is started. */
  readonly engine?: 'sqlite' | 'postgres';
  /** Default `all`; `kills`: nothing but `kill -9`, of any process. */
  readonly faults?: 'all' | 'kills';
  /** Of all platforms together; default 30. */
  readonly devices?: number;
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
  /** How long the senders went on, catching up included. */
  readonly loadMs: number;
  /** Empty: everything adds up. */
  readonly violations: readonly Violation[];
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function torture(options: TortureOptions): Promise<TortureReport> {
  const { seconds, seed, rate, engine = 'sqlite', devices, say = () => {} } = options;
  const possible = FAULTS[options.faults ?? 'all'][engine];
  const random = createRandom(seed);
  const server = engine === 'postgres' ? await startPostgres() : null;
  const folder = sandboxFolder();
  const startsMs: number[] = [];
  const faults: Record<string, number> = {};
  let product: SandboxProcess | null = null;
  const subscribers: { readonly subscriber: Subscriber; readonly scope: Scope | null }[] = [];
  let store: Store | null = null;

  async function start(port = 0): Promise<SandboxProcess> {
    const startedAt = performance.now();
    const started = await startSandboxProcess(folder.dir, port, {
      databaseUrl: server?.url,
      ...(devices === undefined ? {} : { devices }),
    });
    startsMs.push(Math.round(performance.now() - startedAt));
    return started;
  }

  /** @returns the product that runs afterwards */
  async function strike(running: SandboxProcess, fault: Fault): Promise<SandboxProcess> {
    faults[fault] = (faults[fault] ?? 0) + 1;
    say(`${fault} in process ${running.child.pid}`);
    if (fault === 'KILL' || fault === 'STOP') {
      await endProduct(running, fault === 'KILL' ? 'SIGKILL' : 'SIGTERM');
      return start(running.port);
    }
    if (fault === 'KILL_HELPER') {
      // The next operation that was not planned before starts another one.
      if (killHelper(running, random)) await answers(running);
      return running;
    }
    if (fault === 'KILL_DATABASE_SESSION') {
      if (server !== null) await killDatabaseSession(server.url, random);
      return running;
    }
    const files = storeFiles(running.databaseFile);
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
    const loadedAt = performance.now();
    const endsAt = performance.now() + seconds * 1_000;
    while (performance.now() < endsAt) {
      const pause = PAUSE_MIN_MS + random() * (PAUSE_MAX_MS - PAUSE_MIN_MS);
      await wait(pause / 2);
      // One reader at a time loses its connection by itself.
      subscribers[Math.floor(random() * subscribers.length)]?.subscriber.cut();
      await wait(pause / 2);
      if (performance.now() >= endsAt) break;
      product = await strike(product, possible[Math.floor(random() * possible.length)] ?? 'KILL');
    }
    say('the faults are over; what was not acknowledged is sent again');
    await load.finish();
    const loadMs = performance.now() - loadedAt;
    const settled = openStore(server?.url ?? `sqlite:${databaseFile}`);
    store = settled;
    await untilSettled(settled);
    say('everything is processed; now it must add up');

    const violations: Violation[] = [];
    for (const { subscriber, scope } of subscribers) {
      const expected = await caughtUp(settled, subscriber, event, scope);
      violations.push(...compare(subscriber, expected));
    }
    violations.push(...(await settled.findFaults(load.acknowledged)));
    const counts = load.counts();
    for (const status of counts.strange)
      violations.push({ kind: 'other', text: `a sender was answered with ${status}` });
    if (counts.acknowledged !== counts.made)
      violations.push({ kind: 'other', text: `${counts.made - counts.acknowledged} events never arrived` });
    return {
      faults,
      startsMs,
      loadMs,
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
    await server?.stop();
    folder.remove();
  }
}

/** @throws Error when the product does not answer an operation that it has not seen before */
async function answers(product: SandboxProcess): Promise<void> {
  await eventually(async () => {
    const { errors } = await query(
      product,
      `{ seen${randomUUID().replaceAll('-', '')}: devices(first: 1) { totalCount } }`,
    );
    return errors === undefined ? true : undefined;
  }, 'a new operation is planned');
}

/** @throws Error when nothing is settled for a minute and something waits */
async function untilSettled(store: Store): Promise<void> {
  let fewest = Number.POSITIVE_INFINITY;
  let movedAt = performance.now();
  for (;;) {
    const waiting = await store.waiting();
    if (waiting === 0) return;
    if (waiting < fewest) [fewest, movedAt] = [waiting, performance.now()];
    if (performance.now() - movedAt > SETTLE_PATIENCE_MS) throw new Error(`${waiting} deliveries are not processed`);
    await wait(LOOK_MS);
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

function compare({ name, received, gaps, surprises }: Subscriber, expected: readonly string[]): Violation[] {
  const violations: Violation[] = surprises.map((text) => ({ kind: 'other', text: `${name} was told ${text}` }));
  if (gaps > 0) violations.push({ kind: 'gap', text: `${name} was told of ${gaps} gaps` });
  const doubled = received.length - new Set(received).size;
  if (doubled > 0) violations.push({ kind: 'doubled', text: `${name} got ${doubled} events twice` });
  const at = expected.findIndex((id, index) => received[index] !== id);
  if (at !== -1) {
    const text = `${name} got ${received[at] ?? 'nothing'} where the log has ${expected[at]} (place ${at})`;
    violations.push({ kind: 'gap', text });
  }
  return violations;
}
