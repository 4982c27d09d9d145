/**
 * An OnGuard system on loopback: OpenAccess and its event bridge on one port, with every way to misbehave that we know of.
 * Beside it `/_sim/*` (see README.md).
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ZodError, z } from 'zod';
import type { Simulator, SimulatorOptions } from '../../adapter-kit/simulator.ts';
import { answerApi, type ApiParts, BASE } from './simulator/api.ts';
import { createCodeBook } from './simulator/codes.ts';
import { answerControl, type ControlParts } from './simulator/control.ts';
import { createFaultBoard } from './simulator/faults.ts';
import { createHub } from './simulator/hub.ts';
import { createPlatform } from './simulator/platform.ts';
import { type Account, createSessions } from './simulator/sessions.ts';
import { openState } from './simulator/state.ts';
import { createTraffic } from './simulator/traffic.ts';
import { createWorld } from './simulator/world.ts';

/** What a simulated system reads of any request. */
const MAX_BODY_BYTES = 1_024 * 1_024;
const BRIDGE = `${BASE}/eventbridge/signalr/`;

/** The system, and what only this one has. */
export interface OnGuardSimulator extends Simulator {
  calls(): number;
  setWords(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
  startTraffic(options: { readonly everyMs: number }): void;
}

export async function startSimulator(options: SimulatorOptions): Promise<OnGuardSimulator> {
  const { seed, accountId } = options;
  const file = openState(options.stateFile);
  const account: Account = {
    username: 'svc-graph',
    password: `og-${seed}-${accountId.slice(0, 8)}-Passw0rd`,
    applicationId: 'CONVERGRAPH_NON_PRODUCTION',
  };
  let skewMs = 0;
  const now = (): number => options.now().getTime() + skewMs;
  const board = createFaultBoard();
  const codes = createCodeBook(seed);
  const sessions = createSessions(account, seed, now);
  const hub = createHub(file, board, sessions, account.applicationId);
  const platform = createPlatform({
    world: createWorld(options),
    file,
    codes,
    board,
    now,
    onEvent: (event) => hub.publish(event),
  });
  const traffic = createTraffic(platform, seed);
  const byCall = new Map<string, number>();
  let total = 0;
  let downUntil = 0;
  const api: ApiParts = { platform, codes, board, sessions, account, file, now };
  const control: ControlParts = {
    platform,
    board,
    hub,
    sessions,
    file,
    accountId,
    calls: () => ({ total, byCall: Object.fromEntries(byCall) }),
    outage(seconds) {
      downUntil = seconds === 0 ? 0 : options.now().getTime() + seconds * 1_000;
      if (seconds > 0) hub.drop();
    },
    advance: (ms) => {
      skewMs += ms;
    },
    traffic,
  };
  const isDown = (): boolean => options.now().getTime() < downUntil;

  function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const method = request.method ?? 'GET';
    if (url.pathname.startsWith('/_sim/')) {
      const { status, body: said } = answerControl(control, method, url.pathname, body === '' ? {} : JSON.parse(body));
      send(response, status, said);
      return;
    }
    total += 1;
    const path = url.pathname.startsWith(`${BASE}/`) ? url.pathname.slice(BASE.length + 1) : '';
    const name = `${method} ${path}`;
    byCall.set(name, (byCall.get(name) ?? 0) + 1);
    if (isDown()) {
      sendHtml(response, 503);
    } else if (board.spoils(path)) {
      const { status, code } = board.faults();
      if (code === null) sendHtml(response, status ?? 500);
      else send(response, status ?? 500, { error: { code, message: 'simulated' }, version: '1.0' });
    } else if (url.pathname.startsWith(BRIDGE)) {
      hub.answer(request, response, url, url.pathname.slice(BRIDGE.length), body);
    } else {
      const parameters = parametersOf(url, body);
      const { status, body: said } = answerApi(api, { method, path, headers: request.headers, parameters });
      send(response, status, said);
    }
  }

  const server = createServer((request, response) => {
    readBody(request)
      .then((body) => {
        const { delayMs } = board.faults();
        const isControl = request.url?.startsWith('/_sim/') === true;
        if (delayMs === 0 || isControl) answer(request, response, body);
        else setTimeout(() => answer(request, response, body), delayMs).unref();
      })
      .catch((error: unknown) => {
        const message = error instanceof ZodError ? z.prettifyError(error) : 'the request cannot be read';
        if (response.headersSent) response.destroy();
        else send(response, 400, { error: message });
      });
  });
  server.on('upgrade', (request, socket, head) => {
    total += 1;
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    if (isDown() || url.pathname !== `${BRIDGE}connect`) socket.destroy();
    else hub.upgrade(request, socket, head, url);
  });
  const port = await listenAgain(server, options.port, file.state.port);
  file.state.port = port;
  file.save();
  const url = `http://127.0.0.1:${port}`;
  let closing: Promise<void> | null = null;

  async function stop(): Promise<void> {
    traffic(0);
    hub.close();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
    file.save();
  }

  return {
    url,
    integration: {
      baseUrl: url + BASE,
      credentials: { basic: { username: account.username, password: account.password } },
      // A cache that is refreshed at once needs no patience, and nobody else uses it.
      settings: { applicationId: account.applicationId, statusSettleMs: 0, statusCallsPerSecond: 0 },
      signatureProfile: null,
    },
    devices: () => platform.devices(accountId),
    sites: () =>
      board.faults().segmented
        ? platform.world.segments.map(({ id, name }) => ({ nativeOrgId: '', nativeId: String(id), name }))
        : [{ nativeOrgId: '', nativeId: '0', name: 'OnGuard' }],
    // OnGuard has no webhooks.
    connectWebhook: () => undefined,
    setState: (nativeId, state) => void platform.setState(nativeId, state),
    setWords: (nativeId, words) => platform.setWords(nativeId, words),
    calls: () => total,
    startTraffic: ({ everyMs }) => traffic(everyMs),
    close() {
      closing ??= stop();
      return closing;
    },
  };
}

function parametersOf(url: URL, body: string): ReadonlyMap<string, unknown> {
  const given: unknown = body === '' ? {} : JSON.parse(body);
  return new Map<string, unknown>(
    [...url.searchParams, ...Object.entries(Object(given))].map(([name, value]) => [String(name).toLowerCase(), value]),
  );
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: Uint8Array = chunk;
    size += bytes.length;
    if (size > MAX_BODY_BYTES) throw new RangeError('the body is too large');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

/** What the web server says when the service behind it is down. */
function sendHtml(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'text/html' }).end('<html><title>Service unavailable</title></html>');
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

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
