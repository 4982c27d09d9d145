import type { Adapter } from '../adapter-kit/adapter.ts';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import type { DeviceDraft, LiveDevice, SiteDraft } from '../adapter-kit/model.ts';
import type { Platform } from '../sandbox/platforms.ts';
import { SANDBOX_ORGS, type SandboxOrg, splitDevices } from '../sandbox/world.ts';
import { vendors } from '../subgraphs/index.ts';

// A deployed vendor whose adapter answers from memory: what is measured then is ours and not a platform's.

/** The one that most parts go through. */
const SLUG = 'vendor-cloud';
const PAGE = 500;
/** A listing is made once and read often. */
const worlds = new Map<string, readonly DeviceDraft[]>();

export const realVendor: Vendor = vendorOf(SLUG);

export function vendorOf(slug: string): Vendor {
  const vendor = vendors.find((each) => each.slug === slug);
  if (vendor === undefined) throw new Error(`vendor ${slug} is not deployed`);
  return vendor;
}

function uuid(kind: number, org: number, number: number): string {
  return `${String(kind).padStart(8, '0')}-0000-4000-8000-${String(org).padStart(4, '0')}${String(number).padStart(8, '0')}`;
}

function siteIdOf(org: number, site: number): string {
  return uuid(1, org, site);
}

function draftOf(org: number, sites: number, number: number): DeviceDraft {
  const isDown = number % 29 === 0;
  return {
    nativeId: uuid(2, org, number),
    nativeOrgId: uuid(0, org, 0),
    nativeSiteId: siteIdOf(org, number % sites),
    name: `Corridor camera ${String((number * 7_919) % 1_000_003).padStart(7, '0')}`,
    type: 'CAMERA',
    vendorType: 'ip_camera',
    status: {
      state: isDown ? 'OFFLINE' : 'ONLINE',
      reason: 'REPORTED',
      vendorState: isDown ? 'offline' : 'online',
      observedAt: new Date(Date.UTC(2026, 0, 1) + number * 1_000),
    },
    lastSeenAt: new Date(Date.UTC(2026, 0, 1) + number * 1_000),
    macAddresses: [macOf(org, number)],
    ip: `10.${org}.${(number >> 8) & 255}.${number & 255}`,
    hostname: `cam-${org}-${number}`,
    manufacturer: 'Lumen',
    model: 'LX-200',
    firmware: '4.2.1',
    serialNumber: `LX${org}${String(number).padStart(8, '0')}`,
  };
}

function macOf(org: number, number: number): string {
  const bytes = [2, org, number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function devicesOf(org: number, count: number): readonly DeviceDraft[] {
  const key = `${org} ${count}`;
  let devices = worlds.get(key);
  if (devices === undefined) {
    const sites = SANDBOX_ORGS[org]?.sites.length ?? 1;
    devices = Array.from({ length: count }, (_, number) => draftOf(org, sites, number));
    worlds.set(key, devices);
  }
  return devices;
}

function sitesOf(org: number): readonly SiteDraft[] {
  return (SANDBOX_ORGS[org]?.sites ?? []).map(({ name, address, timezone }, site) => ({
    nativeOrgId: uuid(0, org, 0),
    nativeId: siteIdOf(org, site),
    name,
    address,
    coordinates: null,
    timezone,
    deviceCount: null,
  }));
}

function liveOf({ nativeId, nativeSiteId, name, type, status }: DeviceDraft, checkedAt: Date): LiveDevice {
  return {
    nativeId,
    nativeSiteId,
    name,
    type,
    state: status?.state ?? 'UNKNOWN',
    vendorState: status?.vendorState ?? null,
    checkedAt,
    extras: {},
  };
}

function createMemoryAdapter(org: number, count: number, now: () => Date): Adapter {
  const devices = devicesOf(org, count);
  const byId = new Map(devices.map((device) => [device.nativeId, device]));
  return {
    probe: async () => ({ checks: [], accountId: uuid(0, org, 0), accountName: null }),
    listSites: async () => sitesOf(org),
    async *listDevices() {
      for (let from = 0; from < devices.length; from += PAGE) {
        yield { devices: devices.slice(from, from + PAGE), totalCount: devices.length };
      }
    },
    async readDevices(refs) {
      const checkedAt = now();
      const found = new Map<string, LiveDevice>();
      for (const { nativeId } of refs) {
        const device = byId.get(nativeId);
        if (device !== undefined) found.set(nativeId, liveOf(device, checkedAt));
      }
      return found;
    },
    readPlatform: async () => ({ version: '1', checkedAt: now(), extras: {} }),
    pageDevices: async () => ({ devices: [], next: null }),
    close: async () => undefined,
  };
}

/** The address names the account: `https://account-<org>-<devices>.example`. */
const ADDRESS = /^account-(\d+)-(\d+)\.example$/;

export const memoryVendor: Vendor = {
  ...realVendor,
  createAdapter({ baseUrl, now }) {
    const [, org, count] = ADDRESS.exec(baseUrl?.hostname ?? '') ?? [];
    if (org === undefined || count === undefined) throw new Error('not an account of the benchmark');
    return createMemoryAdapter(Number(org), Number(count), now);
  },
};

/** What an operator would type, and what the benchmark must know, of one account. */
export interface BenchPlatform {
  readonly orgKey: string;
  readonly integration: Platform['simulator']['integration'];
  readonly sites: ReturnType<Platform['simulator']['sites']>;
  readonly deviceCount: number;
}

/** @param orgs how many of the sandbox's */
export function memoryPlatforms(devices: number, orgs: number = SANDBOX_ORGS.length): readonly BenchPlatform[] {
  const chosen = SANDBOX_ORGS.slice(0, orgs);
  const shares = chosen.map(({ share }) => share / chosen.reduce((sum, each) => sum + each.share, 0));
  return splitDevices(devices, shares).map((deviceCount, org) => ({
    orgKey: chosen[org]?.key ?? '',
    integration: {
      baseUrl: `https://account-${org}-${deviceCount}.example`,
      credentials: { apiKey: 'bench-bench-bench' },
      settings: {},
      signatureProfile: 'CONTRACT_V1',
    },
    sites: sitesOf(org),
    deviceCount,
  }));
}

/** What deliveries of such a platform speak of. */
export function listedBy({ integration }: BenchPlatform): {
  readonly accountId: string;
  readonly devices: readonly { readonly nativeId: string; readonly siteId: string }[];
} {
  const [, org = '0', count = '0'] = ADDRESS.exec(new URL(integration.baseUrl).hostname) ?? [];
  return {
    accountId: uuid(0, Number(org), 0),
    devices: devicesOf(Number(org), Number(count)).map(({ nativeId, nativeSiteId }) => ({
      nativeId,
      siteId: nativeSiteId,
    })),
  };
}

/** As the sandbox's seeding takes it; the platform itself is elsewhere, or nowhere. */
export function toPlatform(platform: BenchPlatform, vendor: Vendor): Platform {
  const org = SANDBOX_ORGS.find(({ key }) => key === platform.orgKey) as SandboxOrg;
  return {
    org,
    vendor,
    simulator: {
      url: platform.integration.baseUrl,
      integration: platform.integration,
      devices: () => [],
      sites: () => platform.sites,
      connectWebhook: () => undefined,
      setState: () => undefined,
      close: async () => undefined,
    },
  };
}
