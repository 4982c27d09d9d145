// What a simulated installation contains, made from a seed: equal options make equal installations.
import { createHash } from 'node:crypto';
import type { SimulatedDevice, SimulatorOptions } from '../../../adapter-kit/simulator.ts';

export interface WorldSite {
  /** The service's own site: tag of its channels, and name of its channel group. */
  readonly id: string;
  readonly name: string;
  readonly timezone: string;
  readonly groupId: number;
  readonly latitude: number;
  readonly longitude: number;
}

export interface WorldDevice extends SimulatedDevice {
  readonly type: 'camera' | 'gateway' | 'server';
  /** Camera id; for servers their number. */
  readonly id: number;
  readonly site: WorldSite;
  readonly meta: Readonly<Record<string, string>>;
  readonly recMode: 'on' | 'by_event' | 'off';
}

/** An installation key, shaped like the vendor's. */
export interface Keys {
  readonly licenseKey: string;
  readonly cameraManager: number;
}

export interface World {
  readonly sites: readonly WorldSite[];
  readonly devices: readonly WorldDevice[];
  /** A channel that only stands for storage, as the service keeps them among the cameras. */
  readonly storageId: number;
  /** A group that people made: every third camera. */
  readonly viewGroupId: number;
  readonly keys: Keys;
}

/** From this size on the installation has a recording server, and each of its sites a gateway. */
const MIN_FOR_SERVER = 8;
const MIN_FOR_GATEWAY = 6;
const PLACES = ['Entrance', 'Loading bay', 'Car park', 'Corridor', 'Vault', 'Roof'];
const CITIES = ['North', 'South', 'East', 'West'];

export function digest(seed: number, label: string): Buffer {
  return createHash('sha256').update(`${seed}\0${label}`).digest();
}

export function createWorld(options: SimulatorOptions): World {
  const { seed } = options;
  const base = 50_000 + (digest(seed, 'cameras').readUInt16BE(0) % 40_000);
  const siteBase = 10 + (digest(seed, 'sites').readUInt8(0) % 80);
  const sites = options.sites.map((site, index) => ({
    id: String(siteBase + index),
    // The service names the group of a site after it, and that is the only name the core API has for it.
    name: `Site${siteBase + index}`,
    timezone: site.timezone,
    groupId: 700 + index,
    latitude: 40 + index,
    longitude: -80 - index,
  }));
  const [main] = sites;
  const devices: WorldDevice[] = [];
  const hasServer = options.devices >= MIN_FOR_SERVER;
  const cameras = main === undefined ? 0 : options.devices - (hasServer ? 1 : 0);
  for (let index = 0; index < cameras; index += 1) {
    const site = sites[index % sites.length];
    if (site === undefined) break;
    const number = Math.floor(index / sites.length);
    const perSite = Math.floor(cameras / sites.length);
    // Behind the cameras before them, so that a parent may be listed after its children.
    const isGateway = perSite >= MIN_FOR_GATEWAY && number === perSite - 1;
    const place = PLACES[number % PLACES.length] ?? '';
    const gatewayId = `gw-${site.id}`;
    const placed = { siteId: site.id, [site.id]: 'siteId', City: CITIES[index % CITIES.length] ?? '', Zone: place };
    devices.push({
      nativeId: String(base + index),
      id: base + index,
      name: isGateway ? `Gateway ${site.id}` : `${place} ${number + 1}`,
      type: isGateway ? 'gateway' : 'camera',
      state: 'online',
      siteId: site.id,
      accountId: '',
      site,
      meta: isGateway
        ? {
            ...placed,
            gateway: '',
            gateway_id: gatewayId,
            gateway_mac: `02:${(digest(seed, gatewayId).subarray(0, 5).toString('hex').match(/../g) ?? []).join(':')}`,
            gateway_ip: `10.${Number(site.id)}.0.1`,
            gateway_username: 'admin',
            gateway_password: 'gateway-secret-word',
          }
        : { ...placed, ...(number < 2 && perSite >= MIN_FOR_GATEWAY ? { gateway_cam: gatewayId } : {}) },
      recMode: (['on', 'by_event', 'off'] as const)[index % 3] ?? 'on',
    });
  }
  if (hasServer && main !== undefined) {
    const uuid = digest(seed, 'server')
      .toString('hex')
      .slice(0, 32)
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    devices.push({
      nativeId: `server:${uuid}`,
      id: 31,
      name: 'CNVR 1',
      type: 'server',
      state: 'online',
      siteId: main.id,
      accountId: '',
      site: main,
      meta: {},
      recMode: 'off',
    });
  }
  return {
    sites,
    devices,
    storageId: base + options.devices + 1,
    viewGroupId: 900,
    keys: { licenseKey: `v3.${digest(seed, 'license').toString('hex').slice(0, 15)}`, cameraManager: 50_731 },
  };
}
