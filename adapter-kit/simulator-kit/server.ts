import { createServer, type IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { SimulatedDevice } from '../simulator.ts';
import type { Fleet } from './fleet.ts';
import { listen, stop } from './listen.ts';

/** Nothing that is said to a simulated platform is longer. */
const MAX_BODY_BYTES = 1_048_576;

export interface SimulatedRequest {
  readonly method: string;
  /** Decoded segments of the path. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** Parsed JSON; null when there is none. */
  readonly body: unknown;
}

export interface SimulatedAnswer {
  readonly status: number;
  /** Sent as JSON; absent: nothing. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SimulatorServer {
  readonly url: string;
  /** Calls answered or refused so far, `/_sim/` not counted. */
  readonly calls: () => number;
  readonly isDown: () => boolean;
  close(): Promise<void>;
}

export interface SimulatorServerOptions<Device extends SimulatedDevice> {
  /** 0: any free port. */
  readonly port: number;
  readonly now: () => Date;
  readonly fleet: Fleet<Device>;
  /** The platform's own API. */
  answer(request: SimulatedRequest): SimulatedAnswer;
}

const SwitchBody = z.object({ state: z.enum(['online', 'offline']) });
const OutageBody = z.object({ seconds: z.number().nonnegative() });

const NOT_FOUND: SimulatedAnswer = { status: 404, body: { error: 'not found' } };

/** A platform over HTTP on loopback, with the controls that every simulator has (see `Simulator`). */
export async function serveSimulator<Device extends SimulatedDevice>(
  options: SimulatorServerOptions<Device>,
): Promise<SimulatorServer> {
  const { fleet, now } = options;
  let calls = 0;
  let downUntil = 0;
  const isDown = (): boolean => now().getTime() < downUntil;

  function control({ method, path, body }: SimulatedRequest): SimulatedAnswer {
    const [, what, nativeId, ...rest] = path;
    if (what === 'devices' && nativeId === undefined && method === 'GET') {
      const truth = fleet.devices().map(({ nativeId: id, name, type, state, siteId, accountId }) => {
        return { nativeId: id, name, type, state, siteId, accountId };
      });
      return { status: 200, body: truth };
    }
    if (method !== 'POST' || rest.length > 0) return NOT_FOUND;
    if (what === 'outage' && nativeId === undefined) {
      const outage = OutageBody.safeParse(body);
      if (!outage.success) return { status: 400, body: { error: 'expected { "seconds": number }' } };
      downUntil = now().getTime() + outage.data.seconds * 1_000;
      return { status: 200, body: { downUntil: new Date(downUntil).toISOString() } };
    }
    if (what !== 'devices' || nativeId === undefined || fleet.find(nativeId) === undefined) return NOT_FOUND;
    const change = SwitchBody.safeParse(body);
    if (!change.success) return { status: 400, body: { error: 'expected { "state": "online" | "offline" }' } };
    fleet.setState(nativeId, change.data.state);
    return { status: 200, body: { nativeId, state: change.data.state } };
  }

  function answer(request: SimulatedRequest): SimulatedAnswer {
    if (request.path[0] === '_sim') return control(request);
    calls += 1;
    return isDown() ? { status: 503, body: { error: 'down' } } : options.answer(request);
  }

  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) incoming.destroy();
      else chunks.push(chunk);
    });
    incoming.on('end', () => {
      let answered: SimulatedAnswer;
      try {
        answered = answer(parseRequest(incoming, Buffer.concat(chunks)));
      } catch {
        answered = { status: 400, body: { error: 'bad request' } };
      }
      response.writeHead(answered.status, { 'content-type': 'application/json', ...answered.headers });
      response.end(answered.body === undefined ? '' : JSON.stringify(answered.body));
    });
  });
  const port = await listen(server, options.port);

  return {
    url: `http://127.0.0.1:${port}`,
    calls: () => calls,
    isDown,
    close: () => stop(server),
  };
}

function parseRequest(incoming: IncomingMessage, body: Buffer): SimulatedRequest {
  const url = new URL(incoming.url ?? '/', 'http://simulator');
  const parsed: unknown = body.length === 0 ? null : JSON.parse(body.toString('utf8'));
  return {
    method: incoming.method ?? 'GET',
    path: url.pathname.split('/').filter(Boolean).map(decodeURIComponent),
    query: url.searchParams,
    headers: incoming.headers,
    body: parsed,
  };
}
