/**
 * A site full of sensors on loopback: an MQTT broker with Zigbee2MQTT, Tasmota, Sparkplug B and Frigate on it, an ONVIF
 * access controller, a Modbus/TCP gateway, and a sender of webhooks. Beside them `/_sim/*` (see README.md).
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Simulator, SimulatorOptions } from '../../adapter-kit/simulator.ts';
import { parseSparkplugTopic } from './dialects/sparkplug.ts';
import { startBroker } from './simulator/broker.ts';
import { createEdge } from './simulator/edge.ts';
import { createFaultBoard, Faults } from './simulator/faults.ts';
import { startModbusSlave } from './simulator/modbus-slave.ts';
import { createOnvifBox, type OnvifBox } from './simulator/onvif-box.ts';
import { settingsOf } from './simulator/settings.ts';
import { createSite, type Site } from './simulator/site.ts';
import { loadState, saveState } from './simulator/state.ts';
import { createPusher } from './simulator/webhook.ts';
import { createWorld, EDGE, type WorldDevice } from './simulator/world.ts';

const MAX_BODY_BYTES = 1_048_576;
/** Share of events of the gentle stream that are switches of presence. */
const SWITCHES = 4;

const Switch = z.object({ state: z.enum(['online', 'offline']) });
const Outage = z.object({ seconds: z.number().min(0).max(86_400) });
const Trigger = z.strictObject({ nativeId: z.string(), active: z.boolean().default(true) });
const Text = z.strictObject({ sensor: z.string(), text: z.string() });

/** The site and what only it has. */
export interface SensorsSimulator extends Simulator {
  setWords(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
  calls(): number;
  startTraffic(options: { readonly everyMs: number }): void;
  trigger(nativeId: string, isActive: boolean): void;
  setFaults(faults: z.input<typeof Faults>): void;
  /** Publishes at the broker as any client could. */
  publish(topic: string, payload: string | Buffer, options?: { readonly retain?: boolean }): void;
  /** Cuts every connection to the broker. */
  cutBroker(): void;
  /** An old will of the edge, which must be ignored. */
  lateDeath(): void;
  readonly login: { readonly username: string; readonly password: string };
  readonly pullPoints: () => number;
  readonly mqttClients: () => number;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_BODY_BYTES) throw new RangeError('the body is too large');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function listen(server: Server, port: number, previous: number): Promise<number> {
  for (const wanted of port === 0 && previous !== 0 ? [previous, 0] : [port]) {
    try {
      server.listen(wanted, '127.0.0.1');
      await once(server, 'listening');
      break;
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken || port !== 0) throw error;
    }
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the simulator has no port');
  return address.port;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export async function startSimulator(options: SimulatorOptions): Promise<SensorsSimulator> {
  const { seed, now, stateFile, accountId } = options;
  const state = loadState(stateFile);
  const world = createWorld(options);
  const board = createFaultBoard();
  const login = { username: 'convergraph', password: `sim-${seed.toString(36)}-${accountId.slice(-4)}` };
  const broker = await startBroker({ port: state.mqtt, login, board });
  const slave = await startModbusSlave(state.modbus, board);
  const box = createOnvifBox({ login, serialNumber: `AC${seed}`, board, now });
  const pusher = createPusher();
  const edge = createEdge(broker, EDGE, () => bornDevices(), board, now);
  const site = createSite({
    world,
    broker,
    slave,
    box,
    edge,
    pusher,
    board,
    now,
    switched: state.switched,
    save: () => saveState(stateFile, state),
  });
  let calls = 0;
  let outageEnds: NodeJS.Timeout | undefined;
  let isDown = false;
  let traffic: NodeJS.Timeout | undefined;
  let turn = 0;

  function bornDevices(): string[] {
    return site
      .devices()
      .flatMap((device) => (device.role.as === 'sparkplug' && device.state === 'online' ? [device.role.device] : []));
  }
  broker.onPublish((topic) => {
    // Anything else than a request for rebirth would be a command, and we were promised none.
    const isCommand = /^spBv1\.0\/[^/]+\/NCMD\//.test(topic) && parseSparkplugTopic(topic) === null;
    const own = site.devices().find(({ role }) => role.as === 'edge');
    if (isCommand && own?.state === 'online') edge.birth();
  });

  function setOutage(seconds: number): void {
    clearTimeout(outageEnds);
    isDown = seconds > 0;
    broker.setDown(isDown);
    const gateway = site.devices().find(({ role }) => role.as === 'gateway');
    slave.setDown(isDown || gateway?.state === 'offline');
    if (isDown) outageEnds = setTimeout(() => setOutage(0), seconds * 1_000).unref();
  }

  const truth = () =>
    site.devices().map(({ nativeId, name, type, state: is, siteId, accountId: account }) => ({
      nativeId,
      name,
      type,
      state: is,
      siteId,
      accountId: account,
    }));

  const server = createServer((request, response) => {
    answer(request, response).catch(() => {
      if (!response.headersSent) json(response, 400, { error: 'the request cannot be read' });
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const body = await readBody(request);
    if (url.pathname.startsWith('/_sim/'))
      return control(url, request.method === 'POST' ? body || '{}' : null, response);
    calls += 1;
    if (isDown) return json(response, 503, { error: 'down' });
    if (url.pathname === '/push/status') return status(request, response);
    return onvif(box, site, url.pathname, body, request, response);
  }

  function status(request: IncomingMessage, response: ServerResponse): void {
    const basic = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
    if (request.headers.authorization !== basic) return json(response, 401, { error: 'who are you' });
    const devices = site
      .devices()
      .flatMap((device) =>
        device.role.as === 'push' ? [{ id: device.role.key, state: site.wordOf(device), kind: device.type }] : [],
      );
    return json(response, 200, { devices });
  }

  function control(url: URL, body: string | null, response: ServerResponse): void {
    const [, , what = '', ...rest] = url.pathname.split('/');
    const nativeId = decodeURIComponent(rest.join('/'));
    if (body === null)
      return what === 'devices' ? json(response, 200, truth()) : json(response, 404, { error: 'not found' });
    const given: unknown = JSON.parse(body);
    switch (what) {
      case 'devices':
        if (site.find(nativeId) === undefined) return json(response, 404, { error: 'not found' });
        site.setState(nativeId, Switch.parse(given).state);
        return json(response, 200, { nativeId, ...Switch.parse(given) });
      case 'outage':
        setOutage(Outage.parse(given).seconds);
        return json(response, 200, Outage.parse(given));
      case 'faults':
        board.current = Faults.parse(given);
        return json(response, 200, board.current);
      case 'trigger': {
        const { nativeId: id, active } = Trigger.parse(given);
        site.trigger(id, active);
        return json(response, 200, { nativeId: id, active });
      }
      case 'text': {
        const { sensor, text } = Text.parse(given);
        pusher.send(text, { 'content-type': 'text/plain', 'x-sensor': sensor });
        return json(response, 200, { sensor });
      }
      default:
        return json(response, 404, { error: 'not found' });
    }
  }

  state.http = await listen(server, options.port, state.http);
  state.mqtt = broker.port;
  state.modbus = slave.port;
  saveState(stateFile, state);
  site.announce();
  const url = `http://127.0.0.1:${state.http}`;

  function step(): void {
    const all = site
      .devices()
      .filter(({ role }) => role.as !== 'bridge' && role.as !== 'edge' && role.as !== 'gateway');
    const device: WorldDevice | undefined = all[(turn * 7) % all.length];
    turn += 1;
    if (device === undefined) return;
    if (turn % SWITCHES === 0) site.setState(device.nativeId, device.state === 'online' ? 'offline' : 'online');
    else if (device.state === 'online') site.trigger(device.nativeId, turn % 2 === 0);
  }

  return {
    url,
    integration: {
      baseUrl: `http://127.0.0.1:${broker.port}`,
      credentials: { basic: login },
      settings: settingsOf(world, { http: state.http, modbus: slave.port }),
      signatureProfile: 'PATH_SECRET',
    },
    login,
    devices: truth,
    sites: () => world.sites.map(({ id, name }) => ({ nativeOrgId: '', nativeId: id, name })),
    connectWebhook: (target) => pusher.connect(target),
    setState: (nativeId, is) => site.setState(nativeId, is),
    setWords: (nativeId, words) => site.setWords(nativeId, words),
    calls: () => calls + broker.calls() + slave.calls(),
    trigger: (nativeId, isActive) => site.trigger(nativeId, isActive),
    setFaults: (faults) => {
      board.current = Faults.parse(faults);
    },
    publish: (topic, payload, how) => broker.publish(topic, payload, how),
    cutBroker: () => broker.cut(),
    lateDeath: () => edge.death(999),
    pullPoints: () => box.points(),
    mqttClients: () => broker.connected(),
    startTraffic({ everyMs }) {
      clearInterval(traffic);
      traffic = everyMs > 0 ? setInterval(step, everyMs).unref() : undefined;
    },
    async close() {
      clearInterval(traffic);
      clearTimeout(outageEnds);
      pusher.close();
      box.close();
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await Promise.all([closed, broker.close(), slave.close()]);
    },
  };
}

async function onvif(
  box: OnvifBox,
  site: Site,
  path: string,
  body: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const device = site.devices().find(({ role }) => role.as === 'onvif');
  // Switched off: nobody answers.
  if (device?.state !== 'online') return void response.destroy();
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const { status, body: text } = await box.answer(path, body, gone.signal);
  if (request.destroyed && response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/soap+xml; charset=utf-8' }).end(text);
}
