import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acmeBody, quiet, seed, signed } from '../../pipeline/testing.ts';
import { openDatabase } from '../../storage/open-database.ts';
import { arrivalsFileOf } from '../../storage/sqlite/arrivals-file.ts';
import { createTurnMemory } from '../../storage/sqlite/write-turn.ts';
import { findStrace, HOW_TO_INSTALL_STRACE } from '../setup/strace.ts';
import { DurableImage } from './durable-image.ts';
import { createRandom } from './random.ts';
import { LONGEST_SHOWN, parseTrace, type Step, TRACED } from './system-calls.ts';

// A power cut takes everything that no sync had forced to the disk. What the process asked of the kernel is written down
// while it answers webhooks; from that the disk is rebuilt as it was sure to be at many moments, and opened.

const DELIVERIES = 600;
const SENDERS = 8;
const CUTS = 60;
const KEY_BYTES = 16;

interface Run {
  /** What was on the disk before the process started. */
  readonly before: ReadonlyMap<string, Buffer>;
  readonly steps: readonly Step[];
}

interface Cut {
  /** Keys, in hex, of deliveries that a sender had been told were stored. */
  readonly acknowledged: readonly string[];
  readonly files: ReadonlyMap<string, Buffer>;
}

const folder = mkdtempSync(join(tmpdir(), 'convergraph-power-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function runTraced(durability: 'full' | 'normal'): Promise<Run> {
  const strace = findStrace();
  if (strace === null) throw new Error(HOW_TO_INSTALL_STRACE);
  const directory = join(folder, durability);
  mkdirSync(directory);
  const file = join(directory, 'store.db');
  const db = await openDatabase({
    url: `sqlite:${file}`,
    logger: quiet,
    thread: { memory: createTurnMemory(), number: 0 },
  });
  await seed(db);
  await db.close();
  const before = new Map([file, arrivalsFileOf(file)].map((path) => [path, readFileSync(path)]));

  const trace = join(directory, 'trace');
  const script = fileURLToPath(new URL('./power-cut-child.ts', import.meta.url));
  const watching = ['-f', '-qq', '--seccomp-bpf', '-xx', '-y', '-s', String(LONGEST_SHOWN), '-e', `trace=${TRACED}`];
  const child = spawn(strace, [...watching, '-o', trace, process.execPath, script, `sqlite:${file}`, durability], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = await Promise.race([
    once(child.stdout, 'data'),
    ended.then(() => {
      throw new Error('strace could not watch the process: containers need --cap-add=SYS_PTRACE');
    }),
  ]);
  const [port, pid] = String(line).trim().split(' ').map(Number);
  const agent = new Agent({ keepAlive: true, maxSockets: SENDERS });
  let next = 0;
  const send = async (): Promise<void> => {
    while (next < DELIVERIES) {
      const index = next++;
      const state = index % 3 === 0 ? 'OFFLINE' : 'ONLINE';
      const body = acmeBody({ id: `event-${index}`, device: `cam-${(index % 2) + 1}`, state, at: Date.now() });
      const headers = signed(body, Date.now());
      const req = request({ port, agent, host: '127.0.0.1', method: 'POST', path: '/webhooks/int_a', headers });
      req.end(body);
      const [res] = await once(req, 'response');
      res.resume();
      if (res.statusCode !== 202) throw new Error(`a delivery was answered with ${res.statusCode}`);
      await once(res, 'end');
    }
  };
  try {
    await Promise.all(Array.from({ length: SENDERS }, send));
  } finally {
    process.kill(pid ?? 0, 'SIGKILL');
    agent.destroy();
  }
  await ended;
  return { before, steps: parseTrace(readFileSync(trace, 'latin1')) };
}

/** Keys, in hex, that answers to senders name. */
function acknowledgedBy({ phase, call }: Step): string[] {
  if (phase !== 'begin' || call.kind !== 'send' || !call.path.startsWith('socket:')) return [];
  return [...call.bytes.toString('latin1').matchAll(/"deliveryId":"dlv_([0-9a-f]{32})"/g)].map(([, key = '']) => key);
}

/** Cuts the power at CUTS of the answers, the moment they leave. */
function cutPower({ before, steps }: Run, random: () => number): Cut[] {
  const answers = steps.flatMap((step, at) => (acknowledgedBy(step).length > 0 ? [at] : []));
  const chosen = new Set(
    answers
      .map((at) => ({ at, order: random() }))
      .toSorted((a, b) => a.order - b.order)
      .slice(0, CUTS)
      .map(({ at }) => at),
  );
  const image = new DurableImage(before);
  const acknowledged: string[] = [];
  let cuts = 0;
  return steps.flatMap((step, at) => {
    acknowledged.push(...acknowledgedBy(step));
    image.step(step);
    if (!chosen.has(at)) return [];
    // Every other time the disk had written some of the rest too, as it pleased.
    const luck = cuts++ % 2 === 0 ? 0 : 0.5;
    return [{ acknowledged: [...acknowledged], files: image.afterPowerCut(() => random() < luck) }];
  });
}

/** Acknowledged deliveries that are not in what the cut left. @throws when that is damaged, or half of something */
async function lostIn({ acknowledged, files }: Cut, directory: string): Promise<string[]> {
  mkdirSync(directory, { recursive: true });
  for (const [path, bytes] of files) {
    if (/\.db(-arrivals)?(-wal|-journal)?$/.test(path)) writeFileSync(join(directory, basename(path)), bytes);
  }
  const file = join(directory, 'store.db');
  const db = await openDatabase({ url: `sqlite:${file}`, logger: quiet });
  const inbox = await db.read.selectFrom('inbox').select(['id', 'delivery_key', 'status']).execute();
  const events = await db.read.selectFrom('events').select(['seq', 'inbox_id', 'derived']).orderBy('seq').execute();
  const head = await db.head();
  await db.close();
  const raw = new DatabaseSync(file);
  expect(raw.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  raw.close();
  rmSync(directory, { recursive: true });
  // A settled delivery and its event stand or fall together. What was concluded from it is an event of its own.
  const done = inbox.filter(({ status }) => status === 'DONE').map(({ id }) => id);
  const told = events.filter(({ derived }) => derived === 0);
  expect(told.map(({ inbox_id }) => inbox_id).toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual(done);
  expect(head).toBe(events.at(-1)?.seq ?? 0);
  const stored = new Set(inbox.map(({ delivery_key }) => Buffer.from(delivery_key).toString('hex')));
  return acknowledged.filter((key) => !stored.has(key));
}

/** Deliveries whose answer left before a sync of the file that their bytes had gone to. */
function answeredTooEarly({ steps }: Run): string[] {
  const all = new Set(steps.flatMap(acknowledgedBy));
  const prefixes = [...new Set([...all].map((key) => key.slice(0, 8)))].map((text) => Buffer.from(text, 'hex'));
  /** By key: the files in which it was written and may be lost; none when it is on the disk. */
  const written = new Map<string, Set<string>>();
  const synced = new Set<string>();
  const early: string[] = [];
  for (const step of steps) {
    const { call, phase } = step;
    if (call.kind === 'write' && call.path.endsWith('-wal') && phase === 'end') {
      for (const prefix of prefixes) {
        for (let at = call.bytes.indexOf(prefix); at !== -1; at = call.bytes.indexOf(prefix, at + 1)) {
          const key = call.bytes.toString('hex', at, at + KEY_BYTES);
          if (all.has(key) && !synced.has(key)) written.set(key, (written.get(key) ?? new Set()).add(call.path));
        }
      }
    } else if (call.kind === 'sync' && call.path.endsWith('-wal') && phase === 'end') {
      for (const [key, paths] of written) {
        if (!paths.has(call.path)) continue;
        written.delete(key);
        synced.add(key);
      }
    }
    early.push(...acknowledgedBy(step).filter((key) => !synced.has(key)));
  }
  return early;
}

async function cutsThatLose(run: Run): Promise<number> {
  const cuts = cutPower(run, createRandom(20_261_120));
  expect(cuts).toHaveLength(CUTS);
  expect(cuts.at(-1)?.acknowledged.length).toBeGreaterThan(DELIVERIES / 2);
  let losing = 0;
  for (const [index, cut] of cuts.entries()) {
    if ((await lostIn(cut, join(folder, `cut-${index}`))).length > 0) losing += 1;
  }
  return losing;
}

describe('a power cut', () => {
  let run: Run;
  beforeAll(async () => {
    run = await runTraced('full');
  });

  it('takes no acknowledged delivery and damages nothing, whichever of the unsynced writes it takes', async () => {
    expect(await cutsThatLose(run)).toBe(0);
  });

  it('happens while a checkpoint moves pages to the database', () => {
    const pages = run.steps.filter(({ call }) => call.kind === 'write' && call.path.endsWith('.db'));
    expect(pages.length).toBeGreaterThan(20);
  });

  it('finds no answer on its way before the sync of what it promises', () => {
    expect(new Set(run.steps.flatMap(acknowledgedBy)).size).toBe(DELIVERIES);
    expect(answeredTooEarly(run)).toEqual([]);
  });
});

describe('a power cut of a store that does not sync its commits', () => {
  it('is noticed by these tests', async () => {
    const run = await runTraced('normal');
    expect(answeredTooEarly(run).length).toBeGreaterThan(DELIVERIES / 2);
    expect(await cutsThatLose(run)).toBeGreaterThan(CUTS / 2);
  });
});
