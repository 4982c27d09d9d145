/**
 * A VXG installation on loopback: its core API with all three kinds of keys, naive UTC, tag search, late events, and every
 * way to misbehave that we know. Beside it `/_sim/*` (see README.md).
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Simulator, SimulatorOptions } from '../../adapter-kit/simulator.ts';
import { type Answer, type ApiParts, answerApi } from './simulator/api.ts';
import { answerControl, type ControlParts } from './simulator/control.ts';
import { createFaultBoard } from './simulator/faults.ts';
import { createInstallation, type Installation } from './simulator/installation.ts';
import { createMediaStore } from './simulator/media.ts';
import { openState } from './simulator/state.ts';
import { createTokens, type Tokens } from './simulator/tokens.ts';
import { createTraffic } from './simulator/traffic.ts';
import { createWorld } from './simulator/world.ts';

/** Nothing that is said to a simulated platform is longer. */
const MAX_BODY_BYTES = 1_048_576;

export interface VxgSimulator extends Simulator {
  /** The installation itself, for what only tests ask of it. */
  readonly installation: Installation;
  readonly tokens: Tokens;
  calls(): number;
  setWords(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
}

export async function startSimulator(options: SimulatorOptions): Promise<VxgSimulator> {
  const { seed, now } = options;
  const file = openState(options.stateFile);
  const world = createWorld(options);
  const tokens = createTokens(seed, world, () => `127.0.0.1:${file.state.port}`);
  const installation = createInstallation(world, file, tokens, now);
  const board = createFaultBoard(now);
  const traffic = createTraffic(installation, seed);
  let calls = 0;
  const store = createMediaStore(seed, () => `http://127.0.0.1:${file.state.port}`, now);
  const api: ApiParts = { installation, tokens, board, clips: [], store };
  const control: ControlParts = { installation, board, tokens, calls: () => calls, startTraffic: traffic.start };

  function answerCall(request: IncomingMessage, url: URL, body: unknown): Answer {
    const caller = tokens.callerOf(request.headers, url.searchParams);
    if (caller === null) return { status: 401, body: { errorDetail: 'Unauthorized' } };
    const path = url.pathname.split('/').slice(2).map(decodeURIComponent);
    const { pathname, searchParams: query } = url;
    return answerApi(api, { method: request.method ?? 'GET', path, pathname, query, body, caller });
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const body = await readBody(request);
    if (url.pathname.startsWith('/_sim/')) {
      const path = url.pathname.split('/').slice(2).map(decodeURIComponent);
      return send(response, answerControl(control, request.method ?? 'GET', path, body));
    }
    calls += 1;
    if (board.isDown()) return send(response, { status: 503, body: {} });
    const { faults } = board;
    const isSpoilt = board.spoils(`${request.method} ${url.pathname}`);
    if (isSpoilt && faults.delayMs > 0) await wait(faults.delayMs, undefined, { ref: false });
    if (isSpoilt && faults.status !== null) {
      const after = faults.retryAfterSeconds === null ? {} : { 'retry-after': String(faults.retryAfterSeconds) };
      return send(response, { status: faults.status, body: { errorDetail: 'as ordered' } }, after);
    }
    if (url.pathname.startsWith('/storage/')) {
      const bytes = store.read(url.pathname, url.searchParams);
      if (bytes === null) return send(response, { status: 403, body: { errorDetail: 'the link is not good' } });
      response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': bytes.length }).end(bytes);
      return;
    }
    const answered = url.pathname.startsWith('/api/') ? answerCall(request, url, body) : { status: 404 };
    if (isSpoilt && faults.cutAfter) request.socket.destroy();
    else send(response, answered);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => {
      if (!response.headersSent) send(response, { status: 400, body: { errorDetail: 'Bad request' } });
    });
  });
  file.state.port = await listenAgain(server, options.port, file.state.port);
  file.save();
  const url = `http://127.0.0.1:${file.state.port}`;
  const [main] = world.sites;

  return {
    url,
    installation,
    tokens,
    integration: {
      baseUrl: url,
      credentials: { apiKey: world.keys.licenseKey },
      settings: {
        // Servers name no site.
        ...(main === undefined ? {} : { defaultSiteId: main.id }),
        // On loopback asking costs nothing, and whoever plays with it wants to see at once what comes of it.
        eventIntervalMs: 500,
        pollIntervalMs: 10_000,
      },
      signatureProfile: null,
    },
    devices: () => installation.devices(),
    sites: () => world.sites.map(({ id, name }) => ({ nativeOrgId: '', nativeId: id, name })),
    connectWebhook() {
      throw new RangeError('this platform has no webhooks');
    },
    setState: (nativeId, state) => installation.setState(nativeId, state),
    setWords: (nativeId, { state }) => installation.setWord(nativeId, state ?? null),
    calls: () => calls,
    startTraffic: traffic.start,
    async close() {
      traffic.stop();
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: Buffer = chunk;
    size += bytes.length;
    if (size > MAX_BODY_BYTES) throw new RangeError('the body is too long');
    chunks.push(bytes);
  }
  return size === 0 ? null : JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

function send(
  response: ServerResponse,
  { status, body }: Answer,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/** The same port as last time if nobody asked for one: integrations remember the address. */
async function listenAgain(server: Server, asked: number, previous: number): Promise<number> {
  if (asked !== 0 || previous === 0) return listen(server, asked);
  try {
    return await listen(server, previous);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    return listen(server, 0);
  }
}
