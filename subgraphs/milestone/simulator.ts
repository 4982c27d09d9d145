/**
 * An XProtect system on loopback: identity provider, Config REST, Events and State WebSocket and native webhooks, on one
 * port as its gateway has them. Beside it `/_sim/*` (see README.md).
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { WebSocketServer } from 'ws';
import type { Simulator, SimulatorOptions } from '../../adapter-kit/simulator.ts';
import { listenAgain, stop } from '../../adapter-kit/simulator-kit/listen.ts';
import { NO_ACCOUNT } from './normalize.ts';
import { answerControl } from './simulator/control.ts';
import { createEventServer } from './simulator/event-server.ts';
import { Faults } from './simulator/faults.ts';
import { createPlatform, type PlatformEvent, type UserDefinedEvent } from './simulator/platform.ts';
import { answerRest } from './simulator/rest.ts';
import { openState } from './simulator/state-file.ts';
import { createWebhookSender } from './simulator/webhook-sender.ts';
import { createWorld, guidOf } from './simulator/world.ts';

const MAX_BODY_BYTES = 1_048_576;
const HOUR_MS = 3_600_000;

/** The system and what only this one has. */
export interface MilestoneSimulator extends Simulator {
  setWords(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
  calls(): number;
  /** Logins that were tried: a wrong password must not be tried in a loop. */
  logins(): number;
  startTraffic(options: { readonly everyMs: number }): void;
  userDefinedEvents(): readonly UserDefinedEvent[];
  /** What was triggered from outside, newest first. */
  triggered(): readonly PlatformEvent[];
}

export async function startSimulator(options: SimulatorOptions): Promise<MilestoneSimulator> {
  const { seed, now } = options;
  const world = createWorld(options);
  const file = openState(options.stateFile, {
    port: 0,
    bornAt: now().getTime() - 30 * HOUR_MS,
    switched: {},
    userDefinedEvents: [{ id: guidOf(seed, 'user-defined'), name: 'Guard called' }],
    hooks: [],
  });
  const { state } = file;
  let faults = Faults.parse({});
  let spoiled = 0;
  let downUntil = 0;
  let calls = 0;
  let logins = 0;
  let tokenCount = 0;
  let traffic: NodeJS.Timeout | undefined;
  const tokens = new Map<string, number>();
  const user = { username: 'convergraph', password: `Pass & word ${guidOf(seed, 'password').slice(0, 12)}` };

  const isDown = (): boolean => now().getTime() < downUntil;
  const platform = createPlatform({
    seed,
    world,
    faults: () => faults,
    now,
    switched: state.switched,
    bornAt: state.bornAt,
    userDefinedEvents: state.userDefinedEvents,
    onDefine: () => file.save(),
    onSwitch(nativeId, switched) {
      state.switched[nativeId] = switched;
      file.save();
    },
  });
  const events = createEventServer({ seed, platform, faults: () => faults, now, onCommand: () => (calls += 1) });
  const webhooks = createWebhookSender({
    platform,
    hooks: () => state.hooks,
    isDown,
    isEmptyToken: () => faults.emptyToken,
  });

  function outage(seconds: number): void {
    downUntil = seconds === 0 ? 0 : now().getTime() + seconds * 1_000;
    if (seconds > 0) events.drop();
  }

  function startTraffic({ everyMs }: { readonly everyMs: number }): void {
    clearInterval(traffic);
    const channels = platform.devices().filter(({ type }) => type === 'cameras');
    const off: string[] = [];
    let step = 0;
    const change = (): void => {
      step += 1;
      const back = off.length >= 3 ? off.shift() : undefined;
      const at = createHash('sha256').update(`${seed} ${step}`).digest().readUInt32BE(0) % Math.max(1, channels.length);
      const next = channels[at]?.nativeId;
      if (back !== undefined) return platform.setState(back, 'online');
      if (next === undefined || off.includes(next)) return;
      off.push(next);
      platform.setState(next, 'offline');
    };
    traffic = everyMs > 0 ? setInterval(change, everyMs).unref() : undefined;
  }

  function isAuthorized(request: IncomingMessage): boolean {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    return (tokens.get(token) ?? 0) > now().getTime();
  }

  function login(text: string): { status: number; body: unknown } {
    logins += 1;
    const form = new URLSearchParams(text);
    const refuse = (error_code: string) => ({
      status: 400,
      body: { error: 'invalid_grant', error_description: 'invalid_username_or_password', error_code },
    });
    if (faults.account === 'broken') return { status: 500, body: { error: 'server_error' } };
    if (form.get('grant_type') !== 'password' || form.get('client_id') !== 'GrantValidatorClient')
      return { status: 400, body: { error: 'unsupported_grant_type' } };
    if (faults.account === 'locked') return refuse('LockedOut');
    if (form.get('username') !== user.username || form.get('password') !== user.password)
      return refuse('InvalidCredentials');
    if (faults.account === 'must-change') return refuse('ChangePassword');
    tokenCount += 1;
    const token = createHash('sha256').update(`${seed} token ${tokenCount} ${now().getTime()}`).digest('base64url');
    tokens.set(token, now().getTime() + faults.tokenSeconds * 1_000);
    return {
      status: 200,
      body: { access_token: token, expires_in: faults.tokenSeconds, token_type: 'Bearer', scope: 'managementserver' },
    };
  }

  function spoils(path: string): boolean {
    if (faults.status === null || !path.includes(faults.path.toLowerCase())) return false;
    spoiled += 1;
    return faults.times === null || spoiled <= faults.times;
  }

  function answer(request: IncomingMessage, url: URL, text: string): { status: number; body?: unknown } {
    const path = url.pathname.toLowerCase();
    if (isDown()) return { status: 503 };
    if (path === '/idp/connect/token' || path === '/api/idp/connect/token') return login(text);
    if (path === '/api/.well-known/uris')
      return {
        status: 200,
        body: { ProductVersion: '25.2.8912.1', IdentityProvider: `${base}/IDP`, ApiGateways: [`${base}/API/`] },
      };
    if (!path.startsWith('/api/rest/v1/')) return { status: 404 };
    if (!isAuthorized(request)) return { status: 401 };
    if (spoils(path)) return { status: faults.status ?? 500 };
    const method = request.method ?? 'GET';
    const answered = answerRest(platform, faults, seed, { method, url, text });
    return method === 'POST' && faults.losesAnswers ? { status: 502 } : answered;
  }

  function respond(response: ServerResponse, { status, body }: { status: number; body?: unknown }): void {
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
    response.end(body === undefined ? '' : JSON.stringify(body));
  }

  const delayed = new Set<NodeJS.Timeout>();
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? '/', 'http://127.0.0.1');
    if (url === null) return respond(response, { status: 400 });
    const isControl = url.pathname.startsWith('/_sim/');
    if (!isControl) calls += 1;
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) request.destroy();
      else chunks.push(chunk);
    });
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      if (isControl) return respond(response, answerControl(control, request.method ?? 'GET', url.pathname, text));
      const answered = answer(request, url, text);
      if (faults.delayMs === 0) return respond(response, answered);
      const timer = setTimeout(() => {
        delayed.delete(timer);
        respond(response, answered);
      }, faults.delayMs);
      delayed.add(timer);
    });
  });
  const control = {
    platform,
    events,
    faults: () => faults,
    setFaults(next: Faults) {
      faults = next;
      spoiled = 0;
    },
    outage,
    revokeTokens: () => tokens.clear(),
    startTraffic,
    counts: () => ({ calls, logins, connections: events.connections() }),
  };

  const upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_BODY_BYTES });
  server.on('upgrade', (request, socket, head) => {
    calls += 1;
    const path = (request.url ?? '').toLowerCase().replace(/\/+$/, '');
    const status = isDown()
      ? 503
      : path !== '/api/ws/events/v1'
        ? 404
        : isAuthorized(request)
          ? faults.upgradeStatus
          : 401;
    if (status === null) return upgrades.handleUpgrade(request, socket, head, events.connect);
    return socket.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
  });

  state.port = await listenAgain(server, options.port, state.port);
  file.save();
  const base = `http://127.0.0.1:${state.port}`;

  return {
    url: base,
    integration: {
      baseUrl: base,
      credentials: { basic: user },
      settings: world.isBranches ? { siteLevel: 'recording-server' } : {},
      signatureProfile: 'MILESTONE_NATIVE',
    },
    devices: () => platform.devices(),
    sites: () => world.sites.map(({ id, name }) => ({ nativeOrgId: NO_ACCOUNT, nativeId: id, name })),
    connectWebhook({ url, profile, secret }) {
      if (profile !== 'MILESTONE_NATIVE') throw new RangeError(`this platform cannot sign as ${profile}`);
      state.hooks = [...state.hooks.filter((hook) => hook.url !== url), { url, secret }];
      file.save();
    },
    setState: (nativeId, wanted) => platform.setState(nativeId, wanted),
    setWords: (nativeId, words) => platform.setWords(nativeId, words),
    calls: () => calls,
    logins: () => logins,
    userDefinedEvents: () => platform.userDefinedEvents(),
    triggered: () => platform.triggered(),
    startTraffic,
    async close() {
      clearInterval(traffic);
      for (const timer of delayed) clearTimeout(timer);
      webhooks.close();
      events.close();
      await stop(server);
    },
  };
}
