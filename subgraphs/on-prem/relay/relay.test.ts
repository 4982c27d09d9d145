import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createCertificate } from '../../../adapter-kit/simulator-kit/certificate.ts';
import { createVerifier, signingKey } from '../../../pipeline/signatures/verifier.ts';
import { loadRelayConfig } from './config.ts';
import { createRelay, RelayFullError } from './relay.ts';

const SECRET = 'a secret of decent length for the relay';
const PROGRAM = join(import.meta.dirname, '..', 'relay.ts');
const DAY_MS = 86_400_000;

interface Sent {
  readonly device_id: string;
  readonly index: number;
  readonly event_id: string;
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'relay-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function eventually<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The cloud: HTTPS with a certificate that nobody knows, signatures checked, and a switch for outages. */
async function startCloud() {
  const certificate = createCertificate({
    hosts: ['127.0.0.1'],
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
  });
  const key = { id: 'a', key: signingKey('TIMESTAMPED_HMAC', SECRET), expiresAt: null };
  const verifier = createVerifier('TIMESTAMPED_HMAC', [key], 300);
  const cloud = { isAway: false, attempts: 0, compressed: 0, bodies: [] as Record<string, unknown>[] };
  const server = createServer({ key: certificate.privateKeyPem, cert: certificate.certificatePem }, (req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      cloud.attempts += 1;
      const body = Buffer.concat(chunks);
      const isGzip = req.headers['content-encoding'] === 'gzip';
      if (isGzip) cloud.compressed += 1;
      const isKnown = verifier.check(req.headers, body, Date.now()).isAuthentic;
      const status = cloud.isAway ? 503 : isKnown ? 202 : 401;
      if (status === 202) cloud.bodies.push(JSON.parse(String(isGzip ? gunzipSync(body) : body)));
      res.writeHead(status).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/int_1`;
  const events = (): Sent[] =>
    cloud.bodies
      .filter((body) => body['devices'] === undefined)
      .flatMap((body) => (body['events'] ?? [body]) as Sent[]);
  return { cloud, url, ca: certificate.certificatePem, events };
}

function writeConfig(dir: string, url: string, ca: string | null, rest: object): string {
  writeFileSync(join(dir, 'secret'), `${SECRET}\n`);
  if (ca !== null) writeFileSync(join(dir, 'ca.pem'), ca);
  const cloud = {
    url,
    profile: 'TIMESTAMPED_HMAC',
    secretFile: join(dir, 'secret'),
    ...(ca === null ? {} : { caFile: join(dir, 'ca.pem') }),
  };
  writeFileSync(
    join(dir, 'relay.json'),
    JSON.stringify({ cloud, queueDir: join(dir, 'queue'), reportSeconds: 1, ...rest }),
  );
  return join(dir, 'relay.json');
}

interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

async function startProgram(config: string) {
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, '--config', config], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const lines: Line[] = [];
  let rest = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.map((line): Line => JSON.parse(line)));
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const line = (msg: string) => eventually(`"${msg}"`, () => lines.findLast((each) => each.msg === msg));
  await line('The relay is up');
  return {
    child,
    lines,
    line,
    port: async () => Number((await line('The relay listens'))['port']),
    async end(signal: NodeJS.Signals) {
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
  };
}

const LISTENS = { listen: { port: 0 } };
const post = (port: number, body: unknown) =>
  fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
const event = (device: string, index: number) => ({
  device_id: device,
  status: 'offline',
  timestamp: '2026-11-20T12:00:00Z',
  index,
});

describe('relay', () => {
  it('loses nothing when it is killed in an outage, and keeps the order of each device', async () => {
    const { cloud, url, ca, events } = await startCloud();
    const config = writeConfig(folder(), url, ca, LISTENS);
    cloud.isAway = true;
    let index = 0;
    for (let life = 0; life < 3; life += 1) {
      const relay = await startProgram(config);
      const port = await relay.port();
      for (let call = 0; call < 10; call += 1) {
        const batch = Array.from({ length: 7 }, (_, device) => event(`cam-${device}`, index++));
        expect((await post(port, { events: batch })).status).toBe(202);
      }
      await relay.end('SIGKILL');
    }
    cloud.isAway = false;
    const relay = await startProgram(config);
    await eventually('all are there', () =>
      new Set(events().map((each) => each.index)).size === 210 ? true : undefined,
    );
    for (let device = 0; device < 7; device += 1) {
      const own = events()
        .filter((each) => each.device_id === `cam-${device}`)
        .map((each) => each.index);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
    }
    // Its ids make a repetition one event in the cloud.
    expect(new Set(events().map((each) => each.event_id)).size).toBe(210);
    expect(cloud.compressed).toBeGreaterThan(0);
    await relay.end('SIGTERM');
    expect(relay.lines.at(-1)).toMatchObject({
      msg: 'The relay stops; what is queued stays on disk',
      queued: 0,
      taken: 210,
    });
  });

  it('trusts a certificate of its own authority only when it is told to', async () => {
    const { cloud, url, ca, events } = await startCloud();
    const dir = folder();
    const wary = await startProgram(writeConfig(dir, url, null, LISTENS));
    await post(await wary.port(), event('cam-1', 1));
    expect(await wary.line('The cloud takes nothing; it is tried again')).toMatchObject({
      err: { code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO_VERIFY/) },
    });
    await wary.end('SIGTERM');
    expect(cloud.attempts).toBe(0);
    const told = await startProgram(writeConfig(dir, url, ca, LISTENS));
    await eventually('it arrives', () => events()[0]);
    await told.end('SIGTERM');
  });

  it('takes from a folder and from standard input, and sets aside what is no JSON', async () => {
    const { cloud, url, ca, events } = await startCloud();
    const dir = folder();
    const spool = folder();
    writeFileSync(join(spool, '1.json'), JSON.stringify(event('cam-1', 1)));
    writeFileSync(join(spool, '2.json'), '{"device_id":');
    writeFileSync(join(spool, '3.json'), JSON.stringify({ devices: [{ id: 'cam-1', name: 'Lobby' }] }));
    const relay = await startProgram(
      writeConfig(dir, url, ca, { watchDir: spool, stdin: true, listsAreComplete: true }),
    );
    relay.child.stdin?.write(
      `${JSON.stringify(event('cam-1', 2))}\nnonsense\n${JSON.stringify([event('cam-1', 3)])}\n`,
    );
    await eventually('all arrive', () => (events().length === 3 && cloud.bodies.length >= 2 ? true : undefined));
    await eventually('the folder is empty', () => (readdirSync(spool).join() === '2.json.bad' ? true : undefined));
    const list = await eventually('the list arrives', () => cloud.bodies.find((body) => body['devices'] !== undefined));
    expect(list).toMatchObject({
      list: { part: 1, parts: 1 },
      sent_at: expect.any(String),
      devices: [{ id: 'cam-1', name: 'Lobby' }],
    });
    expect(relay.lines.map(({ msg }) => msg)).toContain('A line cannot be used and was left out');
    await relay.end('SIGTERM');
  });

  it('tells how it stands, on its port and in its log', async () => {
    const { url, ca } = await startCloud();
    const relay = await startProgram(writeConfig(folder(), url, ca, LISTENS));
    const port = await relay.port();
    await post(port, event('cam-1', 1));
    const healthy = await eventually('it is taken', async () => {
      const status = (await (await fetch(`http://127.0.0.1:${port}/healthz`)).json()) as Record<string, unknown>;
      return status['taken'] === 1 ? status : undefined;
    });
    expect(healthy).toEqual({
      queued: 0,
      accepted: 1,
      taken: 1,
      refused: 0,
      attempts: 1,
      lastTakenAt: expect.stringMatching(/Z$/),
      lastListAt: null,
    });
    expect(
      await eventually('a report', () =>
        relay.lines.findLast((line) => line.msg === 'The relay works' && line['taken'] === 1),
      ),
    ).toMatchObject({
      accepted: 1,
      queued: 0,
      refused: 0,
      lastTakenAt: expect.any(String),
    });
    expect((await post(port, 'nonsense')).status).toBe(400);
    expect((await post(port, { devices: 'all' })).status).toBe(400);
    expect((await post(port, { status: 'offline' })).status).toBe(400);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(405);
    expect(JSON.stringify(relay.lines)).not.toContain(SECRET);
    await relay.end('SIGTERM');
  });
});

describe('relay in memory', () => {
  const quiet = pino({ level: 'silent' });

  /** Time passes by waiting only. */
  async function start(answer: (nowMs: number) => number | null) {
    const dir = folder();
    let nowMs = Date.UTC(2026, 10, 20);
    const bodies: {
      readonly index?: number;
      readonly events?: readonly Sent[];
      readonly devices?: readonly unknown[];
      readonly list?: unknown;
    }[] = [];
    const relay = await createRelay({
      config: {
        cloud: { url: 'https://cloud.invalid', profile: 'TIMESTAMPED_HMAC', secret: SECRET, ca: null },
        queueDir: dir,
        listsAreComplete: true,
      },
      logger: quiet,
      now: () => new Date(nowMs),
      sleep: async (ms) => {
        nowMs += ms;
        await new Promise((resolve) => setImmediate(resolve));
      },
      post: async (_, headers, body) => {
        const status = answer(nowMs);
        if (status === null) throw new Error('the line is down');
        if (status < 300)
          bodies.push(JSON.parse(String(headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body)));
        return status;
      },
    });
    onTestFinished(() => relay.close());
    return { relay, bodies, dir };
  }

  it('holds two hours of ten events a second, and hands over all of them in their order', async () => {
    const end = Date.UTC(2026, 10, 20, 2);
    let isUp = false;
    const { relay, bodies } = await start((nowMs) => (isUp && nowMs >= end ? 202 : null));
    for (let second = 0; second < 7_200; second += 100) {
      await relay.accept({ events: Array.from({ length: 1_000 }, (_, i) => event(`cam-${i % 50}`, second * 10 + i)) });
    }
    expect(relay.status()).toMatchObject({ queued: 72_000, taken: 0 });
    isUp = true;
    await eventually('all are taken', () => (relay.status().taken === 72_000 ? true : undefined));
    const order = bodies
      .flatMap((body): readonly { index?: number }[] => body.events ?? [body])
      .map(({ index }) => index);
    expect(order).toEqual(Array.from({ length: 72_000 }, (_, i) => i));
  }, 30_000);

  it('refuses what its queue cannot hold, and nothing of it is kept', async () => {
    const { relay } = await start(() => null);
    const many = { events: Array.from({ length: 10_000 }, (_, i) => event('cam', i)) };
    for (let i = 0; i < 10; i += 1) await relay.accept(many);
    await expect(relay.accept(event('cam', 1))).rejects.toThrow(RelayFullError);
    expect(relay.status()).toMatchObject({ queued: 100_000, accepted: 100_000 });
  });

  it('keeps what the cloud refused for good', async () => {
    const { relay, dir } = await start(() => 413);
    await relay.accept(event('cam', 1));
    await eventually('it was refused', () => (relay.status().refused === 1 ? true : undefined));
    expect(relay.status()).toMatchObject({ queued: 0, taken: 0 });
    expect(JSON.parse(readFileSync(join(dir, 'refused.ndjson'), 'utf8'))).toMatchObject({
      value: { device_id: 'cam' },
    });
  });

  it('divides a long list into parts of one list', async () => {
    const { relay, bodies } = await start(() => 202);
    await relay.accept({ devices: Array.from({ length: 700 }, (_, i) => ({ id: `cam-${i}` })) });
    await eventually('it is taken', () => (relay.status().taken === 3 ? true : undefined));
    expect(bodies.map(({ devices }) => devices?.length)).toEqual([300, 300, 100]);
    expect(bodies.map(({ list }) => list)).toMatchObject([
      { part: 1, parts: 3 },
      { part: 2, parts: 3 },
      { part: 3, parts: 3 },
    ]);
  });
});

describe('relay configuration', () => {
  it.each([
    [
      'an address that is not https',
      { cloud: { url: 'http://cloud.example/webhooks/int_1' } },
      /cloud\.url: must be https/,
    ],
    ['a member that it does not know', { secret: 'x' }, /Unrecognized key/],
    ['nothing to take from', {}, /names nothing to take from/],
    [
      'a secret that is not there',
      { ...LISTENS, cloud: { secretFile: '/nowhere/secret' } },
      /the secret \/nowhere\/secret cannot be read/,
    ],
  ])('refuses %s', (_, change, said) => {
    const dir = folder();
    const path = writeConfig(dir, 'https://cloud.example/webhooks/int_1', null, {});
    const config = JSON.parse(readFileSync(path, 'utf8')) as { cloud: object };
    const cloud = { ...config.cloud, ...('cloud' in change ? change.cloud : {}) };
    writeFileSync(path, JSON.stringify({ ...config, ...change, cloud }));
    expect(() => loadRelayConfig(path)).toThrow(said);
  });

  it('ends the program with a line that says what is wrong', async () => {
    const child = spawn(process.execPath, [PROGRAM, '--config', '/nowhere.json'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = await once(child, 'close');
    expect({ code, said }).toEqual({ code: 1, said: 'the configuration /nowhere.json cannot be read\n' });
  });
});
