import { createHash, randomUUID } from 'node:crypto';
import type { SimulatedDevice, Simulator, SimulatorOptions } from '../../../adapter-kit/simulator.ts';
import { createFleet } from '../../../adapter-kit/simulator-kit/fleet.ts';
import {
  serveSimulator,
  type SimulatedAnswer,
  type SimulatedRequest,
} from '../../../adapter-kit/simulator-kit/server.ts';
import { createWebhookSender } from '../../../adapter-kit/simulator-kit/webhooks.ts';
import { MAX_IDS, MAX_PAGE } from './client.ts';

const KINDS = ['camera', 'camera', 'camera', 'door', 'recorder'];
const VERSION = '2.4.0';

/** Equal seeds make equal ids. */
function idOf(seed: number, kind: string, index: number): string {
  return createHash('sha256').update(`acme-vms ${seed} ${kind} ${index}`).digest('hex').slice(0, 16);
}

function createDevices({ seed, accountId, devices }: SimulatorOptions, siteIds: readonly string[]): SimulatedDevice[] {
  return Array.from({ length: siteIds.length === 0 ? 0 : devices }, (_, index) => {
    const type = KINDS[index % KINDS.length] ?? 'camera';
    const siteId = siteIds[index % siteIds.length] ?? '';
    return {
      nativeId: idOf(seed, 'device', index),
      name: `${type[0]?.toUpperCase()}${type.slice(1)} ${index + 1}`,
      type,
      state: index % 17 === 16 ? 'offline' : 'online',
      siteId,
      accountId,
    };
  });
}

/** Acme VMS over its HTTP API on loopback; see the README beside it for what it says. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { seed, accountId, accountName, now } = options;
  const apiKey = `key-${idOf(seed, accountId, 0)}`;
  const sites = options.sites.map((site, index) => ({ ...site, id: idOf(seed, 'site', index) }));
  const webhooks = createWebhookSender(now);
  const fleet = createFleet({
    devices: createDevices(
      options,
      sites.map(({ id }) => id),
    ),
    words: { online: 'up', offline: 'down' },
    stateFile: options.stateFile,
    onChange: (device) =>
      webhooks.send({ id: randomUUID(), type: 'device.state', at: now().toISOString(), device: recordOf(device) }),
  });

  function recordOf(device: SimulatedDevice) {
    const kind = fleet.typeWord(device);
    return {
      id: device.nativeId,
      account: device.accountId,
      site: device.siteId,
      label: device.name,
      kind,
      state: fleet.stateWord(device),
      model: `AC-${device.type.length}00`,
      mac: `02:${device.nativeId.slice(0, 10).replaceAll(/(..)(?=.)/g, '$1:')}`,
      fps: kind === 'camera' && device.state === 'online' ? 25 : null,
    };
  }

  function devicesAnswer({ query }: SimulatedRequest): SimulatedAnswer {
    const all = fleet.devices();
    const ids = query.get('ids');
    if (ids !== null) {
      const wanted = new Set(ids.split(',').slice(0, MAX_IDS));
      const devices = all.filter(({ nativeId }) => wanted.has(nativeId)).map(recordOf);
      return { status: 200, body: { devices, next: null, total: devices.length } };
    }
    const from = Number(query.get('after') ?? 0);
    const limit = Number(query.get('limit') ?? MAX_PAGE);
    if (!Number.isInteger(from) || !(limit >= 1 && limit <= MAX_PAGE)) return { status: 400, body: { error: 'page' } };
    const next = from + limit < all.length ? String(from + limit) : null;
    return { status: 200, body: { devices: all.slice(from, from + limit).map(recordOf), next, total: all.length } };
  }

  function answer(request: SimulatedRequest): SimulatedAnswer {
    if (request.headers.authorization !== `Bearer ${apiKey}`) return { status: 401, body: { error: 'unknown key' } };
    switch (`${request.method} /${request.path.join('/')}`) {
      case 'GET /api/me':
        return { status: 200, body: { account: { id: accountId, name: accountName }, version: VERSION } };
      case 'GET /api/sites': {
        const list = sites.map(({ id, name, address, timezone }) => ({
          id,
          account: accountId,
          label: name,
          address,
          timezone,
        }));
        return { status: 200, body: { sites: list } };
      }
      case 'GET /api/devices':
        return devicesAnswer(request);
      default:
        return { status: 404, body: { error: 'no such call' } };
    }
  }

  const server = await serveSimulator({ port: options.port, now, fleet, answer });
  let traffic: NodeJS.Timeout | undefined;
  let turn = 0;
  const simulator: Simulator = {
    url: server.url,
    integration: {
      baseUrl: server.url,
      credentials: { apiKey },
      settings: {},
      signatureProfile: 'STANDARD_WEBHOOKS',
    },
    devices: fleet.devices,
    sites: () => sites.map(({ id, name }) => ({ nativeOrgId: accountId, nativeId: id, name })),
    connectWebhook: webhooks.connect,
    setState: fleet.setState,
    calls: server.calls,
    setWords: fleet.setWords,
    startTraffic({ everyMs }) {
      clearInterval(traffic);
      if (everyMs === 0) return;
      traffic = setInterval(() => {
        const all = fleet.devices();
        const device = all[(turn * 7) % all.length];
        turn += 1;
        if (device !== undefined) fleet.setState(device.nativeId, device.state === 'online' ? 'offline' : 'online');
      }, everyMs);
      traffic.unref();
    },
    async close() {
      clearInterval(traffic);
      webhooks.close();
      await server.close();
    },
  };
  return simulator;
}
