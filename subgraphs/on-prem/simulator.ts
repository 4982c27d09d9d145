// An adapter at a customer's site: it knows devices, pushes its list in parts when it is connected and whenever it is told
// to, and forwards changes as they happen. It serves nothing but the controls that every simulator has.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { SimulatedDevice, Simulator, SimulatorOptions } from '../../adapter-kit/simulator.ts';
import { createFleet } from '../../adapter-kit/simulator-kit/fleet.ts';
import { serveSimulator } from '../../adapter-kit/simulator-kit/server.ts';
import { createPushClient, type PushItem } from './client.ts';

/** Devices of one part of the list. */
const PART = 200;
const KINDS = ['camera', 'camera', 'camera', 'access_control', 'door'] as const;

interface SiteDevice extends SimulatedDevice {
  readonly mac: string;
  readonly ip: string;
}

const Kept = z.object({
  target: z.object({ url: z.string(), profile: z.string(), secret: z.string() }).nullable(),
  queue: z.array(z.object({ kind: z.enum(['EVENT', 'BODY']), value: z.record(z.string(), z.unknown()) })),
  lists: z.int(),
});
type Kept = z.infer<typeof Kept>;

function load(file: string | null): Kept {
  const nothing: Kept = { target: null, queue: [], lists: 0 };
  if (file === null) return nothing;
  try {
    return Kept.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // No file yet, or one of another version: a simulation may begin anew.
    return nothing;
  }
}

function hex(value: number): string {
  return (value & 0xff).toString(16).toUpperCase().padStart(2, '0');
}

/** The devices of a seed, spread over the customers; each site is a customer of the adapter's. */
function devicesOf({ seed, devices, sites, accountId }: SimulatorOptions): readonly SiteDevice[] {
  return Array.from({ length: devices }, (_, index) => {
    const site = index % Math.max(1, sites.length);
    const type = KINDS[index % KINDS.length] ?? 'camera';
    const number = String(index + 1).padStart(4, '0');
    return {
      nativeId: `${type === 'camera' ? 'cam' : type === 'door' ? 'door' : 'acs'}-${hex(seed)}-${number}`.toLowerCase(),
      name: `${sites[site]?.name ?? 'Site'} ${type.replace('_', ' ')} ${number}`,
      type,
      state: 'online',
      siteId: customerOf(seed, site),
      accountId,
      mac: `00:1B:44:${hex(seed)}:${hex(index >> 8)}:${hex(index)}`,
      ip: `192.168.${site + 1}.${(index % 250) + 1}`,
    };
  });
}

function customerOf(seed: number, site: number): string {
  return `cust-${hex(seed).toLowerCase()}-${String(site + 1).padStart(3, '0')}`;
}

export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { now, stateFile } = options;
  const keptFile = stateFile === null ? null : `${stateFile}.queue`;
  const kept = load(keptFile);
  let { target, lists } = kept;
  let queue: readonly PushItem[] = kept.queue;
  let isSaving = false;
  let traffic: NodeJS.Timeout | null = null;

  function write(): void {
    isSaving = false;
    if (keptFile === null) return;
    mkdirSync(dirname(keptFile), { recursive: true });
    writeFileSync(keptFile, JSON.stringify({ target, queue, lists }));
  }

  /** Once for everything that changes in one turn of the event loop. */
  function save(): void {
    if (keptFile === null || isSaving) return;
    isSaving = true;
    setImmediate(() => {
      if (isSaving) write();
    });
  }

  const fleet = createFleet<SiteDevice>({
    devices: devicesOf(options),
    words: { online: 'online', offline: 'offline' },
    stateFile,
    onChange(device) {
      if (target === null) return;
      const value = { device_id: device.nativeId, status: fleet.stateWord(device), timestamp: now().toISOString() };
      client.send({ kind: 'EVENT', value });
    },
  });
  const server = await serveSimulator({ port: options.port, now, fleet, answer: () => ({ status: 404 }) });
  const client = createPushClient({
    now,
    backlog: kept.queue,
    onQueue(items) {
      queue = [...items];
      save();
    },
    // An outage of the line: nobody can be reached until it is over.
    async post(url, headers, body) {
      if (server.isDown()) throw new Error('the line is down');
      const answer = await fetch(url, { method: 'POST', headers, body: Buffer.from(body), redirect: 'manual' });
      await answer.body?.cancel();
      return answer.status;
    },
  });

  /** The whole list, in parts, in exactly the contract's shape. */
  function pushList(): void {
    lists += 1;
    const all = fleet.devices();
    const parts = Math.max(1, Math.ceil(all.length / PART));
    for (let part = 1; part <= parts; part += 1) {
      const devices = all.slice((part - 1) * PART, part * PART).map((device) => ({
        id: device.nativeId,
        name: device.name,
        type: fleet.typeWord(device),
        customer_id: device.siteId,
        status: fleet.stateWord(device),
        mac_address: device.mac,
        ip: device.ip,
      }));
      const list = { id: `${options.seed}-${lists}`, part, parts };
      client.send({ kind: 'BODY', value: { list, sent_at: now().toISOString(), devices } });
    }
  }

  if (target !== null) client.connect(target);

  return {
    url: server.url,
    integration: { baseUrl: server.url, credentials: {}, settings: {}, signatureProfile: 'STANDARD_WEBHOOKS' },
    devices: fleet.devices,
    sites: () =>
      options.sites.map(({ name }, index) => ({ nativeOrgId: '', nativeId: customerOf(options.seed, index), name })),
    connectWebhook(to) {
      const isNew = target === null;
      target = to;
      save();
      client.connect(to);
      // Whoever connects anew begins with the whole list; a new address alone changes nothing about it.
      if (isNew) pushList();
    },
    setState: fleet.setState,
    calls: server.calls,
    setWords: fleet.setWords,
    startTraffic({ everyMs }) {
      if (traffic !== null) clearInterval(traffic);
      traffic = null;
      if (everyMs <= 0) return;
      let turn = 0;
      traffic = setInterval(() => {
        const all = fleet.devices();
        const device = all[(turn * 7) % Math.max(1, all.length)];
        turn += 1;
        if (device !== undefined) fleet.setState(device.nativeId, device.state === 'online' ? 'offline' : 'online');
      }, everyMs).unref();
    },
    async close() {
      if (traffic !== null) clearInterval(traffic);
      traffic = null;
      client.close();
      if (isSaving) write();
      await server.close();
    },
  };
}
