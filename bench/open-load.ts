import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

// Open loop: requests are sent when they are due, whether the ones before were answered or not, and waiting counts from
// then. A closed loop would send less to a server that is slow, and hide how slow it is.

export interface Phase {
  readonly perSecond: number;
  readonly ms: number;
}

export interface OpenLoad extends Phase {
  readonly port: number;
  readonly connections: number;
  /** What follows without a pause; default nothing. */
  readonly then?: readonly Phase[];
}

export interface OpenResult {
  readonly sent: number;
  readonly accepted: number;
  /** 429 or 503 with Retry-After. */
  readonly deferred: number;
  /** Any other answer. */
  readonly bad: number;
  /** Connections that broke, and requests that were not answered in time. */
  readonly lost: number;
  /** From the moment at which it was due, of those that were accepted. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

const TICK_MS = 1;
/** After the last was sent. */
const PATIENCE_MS = 10_000;
const HEAD_END = Buffer.from('\r\n\r\n');

interface Lane {
  readonly socket: Socket;
  dueAt: number | null;
  parts: Buffer[];
}

type Verdict = 'accepted' | 'deferred' | 'bad';

/** @returns null while the answer is not complete */
function verdictOf(bytes: Buffer): Verdict | null {
  const end = bytes.indexOf(HEAD_END);
  if (end === -1) return null;
  const head = bytes.toString('latin1', 0, end);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  if (bytes.length < end + HEAD_END.length + length) return null;
  const status = Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3));
  if (status === 200 || status === 202) return 'accepted';
  return (status === 429 || status === 503) && /^retry-after: \d+/im.test(head) ? 'deferred' : 'bad';
}

/** @param next the bytes of the next request; it is due at so many milliseconds of `performance.now()` */
export async function runOpenLoad(
  { port, connections, perSecond, ms, then = [] }: OpenLoad,
  next: (dueAt: number) => Buffer,
): Promise<OpenResult> {
  const counts = { accepted: 0, deferred: 0, bad: 0 };
  const times: number[] = [];
  const idle: Lane[] = [];
  const due: number[] = [];
  let dueFrom = 0;
  let lost = 0;

  const open = (): Promise<Lane> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      const lane: Lane = { socket, dueAt: null, parts: [] };
      socket.once('connect', () => resolve(lane));
      socket.once('error', reject);
      socket.on('data', (chunk) => hear(lane, chunk));
      socket.on('close', () => {
        if (lane.dueAt !== null) lost += 1;
        lane.dueAt = null;
      });
    });

  function hear(lane: Lane, chunk: Buffer): void {
    lane.parts.push(chunk);
    const bytes = lane.parts.length === 1 ? chunk : Buffer.concat(lane.parts);
    const verdict = verdictOf(bytes);
    if (verdict === null) return;
    if (verdict === 'accepted' && lane.dueAt !== null) times.push(performance.now() - lane.dueAt);
    counts[verdict] += 1;
    lane.dueAt = null;
    lane.parts = [];
    // A connection is renewed by the server after so many requests; another one takes its place.
    if (/^connection: close/im.test(bytes.toString('latin1', 0, bytes.indexOf(HEAD_END)))) {
      void open().then(give, () => undefined);
    } else give(lane);
  }

  function give(lane: Lane): void {
    const dueAt = due[dueFrom];
    if (dueAt === undefined) {
      idle.push(lane);
      return;
    }
    dueFrom += 1;
    send(lane, dueAt);
  }

  function send(lane: Lane, dueAt: number): void {
    lane.dueAt = dueAt;
    lane.socket.write(next(dueAt));
  }

  const lanes = await Promise.all(Array.from({ length: connections }, open));
  idle.push(...lanes);
  let phaseAt = performance.now();
  let sent = 0;
  for (const phase of [{ perSecond, ms }, ...then]) {
    const from = sent;
    for (let elapsedMs = 0; elapsedMs < phase.ms; ) {
      await wait(TICK_MS);
      elapsedMs = Math.min(performance.now() - phaseAt, phase.ms);
      const upTo = from + Math.floor((elapsedMs * phase.perSecond) / 1_000);
      for (; sent < upTo; sent++) {
        const dueAt = phaseAt + ((sent - from) / phase.perSecond) * 1_000;
        // Whoever waited longest: a connection that nobody uses is cut by the server.
        const lane = idle.shift();
        if (lane === undefined) due.push(dueAt);
        else send(lane, dueAt);
      }
    }
    phaseAt += phase.ms;
  }
  const giveUpAt = performance.now() + PATIENCE_MS;
  const answered = (): number => counts.accepted + counts.deferred + counts.bad + lost;
  while (answered() < sent && performance.now() < giveUpAt) await wait(TICK_MS);
  lost = sent - counts.accepted - counts.deferred - counts.bad;
  for (const { socket } of lanes) socket.destroy();
  const sorted = Float64Array.from(times).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { sent, ...counts, lost, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1) };
}
