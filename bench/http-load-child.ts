import { connect, type Socket } from 'node:net';
import { answerCalls } from './child.ts';
import { contractEvent, httpRequest, type Sender, signedRequest } from './contract-events.ts';
import { median } from './measure.ts';
import { type OpenLoad, type OpenResult, runOpenLoad } from './open-load.ts';

// A load generator that costs little itself: prepared bytes out, answers counted, each connection one request at a time.

export interface LoadResult {
  readonly answers: number;
  /** Whatever was not the expected status, or a GraphQL answer with errors. */
  readonly bad: number;
  readonly ms: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** Stops after so many milliseconds; null: when every request was answered once. */
  readonly ms: number | null;
  /** Sends at this pace whatever the answers do, as far as the connections suffice; null: as fast as answers come. */
  readonly perSecond?: number | null;
}

let requests: readonly Buffer[] = [];
let nextRequest = 0;
/** Devices change to and fro from one preparation to the next. */
let round = 0;
/** When the last event that was prepared happened, in milliseconds since the epoch. */
let lastAt = 0;

/** How close to each other what is sent happened. */
const EVENTS_PER_MS = 10;
const STATUS_AT = 'HTTP/1.1 '.length;
const HEAD_END = Buffer.from('\r\n\r\n');
const DATA_FIRST = Buffer.from('{"data"');
const ERRORS_FIRST = Buffer.from('{"errors"');

/** Length of the whole answer; null while its head is not complete. */
function answerLength(bytes: Buffer): { readonly headLength: number; readonly total: number } | null {
  const end = bytes.indexOf(HEAD_END);
  if (end === -1) return null;
  const length = /content-length: (\d+)/i.exec(bytes.toString('latin1', 0, end))?.[1];
  if (length === undefined) throw new Error('an answer without content-length');
  const headLength = end + HEAD_END.length;
  return { headLength, total: headLength + Number(length) };
}

function isGood(bytes: Buffer, headLength: number): boolean {
  if (bytes[STATUS_AT] !== 0x32) return false;
  const start = bytes.subarray(headLength, headLength + ERRORS_FIRST.length);
  return !start.equals(ERRORS_FIRST) || start.subarray(0, DATA_FIRST.length).equals(DATA_FIRST);
}

async function run({ port, connections, ms, perSecond = null }: LoadOptions): Promise<LoadResult> {
  const times: number[] = [];
  let bad = 0;
  const isOver = (): boolean => (ms === null ? nextRequest >= requests.length : performance.now() - startedAt >= ms);
  if (ms === null) nextRequest = 0;
  const from = nextRequest;

  function drive(socket: Socket): Promise<void> {
    return new Promise((resolve, reject) => {
      let parts: Buffer[] = [];
      let received = 0;
      let expected: ReturnType<typeof answerLength> = null;
      let sentAt = 0;
      const send = (): void => {
        if (isOver()) {
          socket.end();
          resolve();
          return;
        }
        const number = nextRequest++;
        const due = perSecond === null ? 0 : startedAt + ((number - from) * 1_000) / perSecond - performance.now();
        const write = (): void => {
          sentAt = performance.now();
          socket.write(requests[number % requests.length] ?? Buffer.alloc(0));
        };
        if (due > 0) setTimeout(write, due);
        else write();
      };
      socket.on('error', reject);
      socket.on('data', (chunk) => {
        parts.push(chunk);
        received += chunk.length;
        if (expected === null) {
          parts = [Buffer.concat(parts)];
          expected = answerLength(parts[0] ?? chunk);
        }
        if (expected === null || received < expected.total) return;
        times.push(performance.now() - sentAt);
        if (!isGood(parts[0] ?? chunk, expected.headLength)) bad += 1;
        parts = [];
        received = 0;
        expected = null;
        send();
      });
      send();
    });
  }

  const sockets = await Promise.all(
    Array.from(
      { length: connections },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
          socket.once('error', reject);
        }),
    ),
  );
  const startedAt = performance.now();
  await Promise.all(sockets.map(drive));
  const took = performance.now() - startedAt;
  const sorted = Float64Array.from(times).sort();
  return {
    answers: times.length,
    bad,
    ms: took,
    p50Ms: median([...sorted]),
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
  };
}

const calls = {
  /** Every body is one request; load begins at the first of them. */
  prepare({
    path,
    headers,
    bodies,
  }: {
    path: string;
    headers: Record<string, string>;
    bodies: readonly string[];
  }): void {
    requests = bodies.map((body) => httpRequest(path, headers, body));
    nextRequest = 0;
  },

  /**
   * Deliveries in the vendor contract's words, each its own event, signed in advance as profile CONTRACT_V1 says.
   *
   * @param bytes length of each event
   * @param batch events of one delivery, default 1
   */
  prepareDeliveries(
    options: Sender & { readonly count: number; readonly bytes: number; readonly batch?: number },
  ): void {
    const now = Date.now();
    round += 1;
    const { count, bytes, batch = 1 } = options;
    // Each has its own instant, behind those that were sent before, as when they happen one after the other.
    const firstAt = Math.max(lastAt, now - (count * batch) / EVENTS_PER_MS);
    lastAt = firstAt + (count * batch) / EVENTS_PER_MS;
    const eventOf = (number: number) =>
      contractEvent(options, { number, round, at: new Date(firstAt + number / EVENTS_PER_MS), bytes });
    requests = Array.from({ length: count }, (_, number) => {
      const events = Array.from({ length: batch }, (__, at) => eventOf(number * batch + at));
      return signedRequest(options, JSON.stringify(batch === 1 ? events[0] : { events }), now);
    });
    nextRequest = 0;
  },

  run,

  /** What was prepared, at a steady rate. */
  runOpen: (load: OpenLoad): Promise<OpenResult> => {
    nextRequest = 0;
    return runOpenLoad(load, () => requests[nextRequest++ % requests.length] ?? Buffer.alloc(0));
  },

  /**
   * Events that happen when they are due and say so, signed when they are sent: a run may be as long as it likes.
   *
   * @returns also when the first was due, in milliseconds since the epoch
   */
  async runOpenFresh({ load, sender }: { readonly load: OpenLoad; readonly sender: Sender }) {
    const epochAt = Date.now() - performance.now();
    let number = 0;
    let startedAt = Number.NaN;
    round += 1;
    const result = await runOpenLoad(load, (dueAt) => {
      if (number === 0) startedAt = epochAt + dueAt;
      const at = new Date(epochAt + dueAt);
      const event = contractEvent(sender, { number: number++, round, at, bytes: 0 });
      return signedRequest(sender, JSON.stringify(event), Date.now());
    });
    return { ...result, startedAt };
  },
};

export type HttpLoadCalls = typeof calls;

answerCalls(calls);
