import type { Adapter } from '../adapter-kit/adapter.ts';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import type { DeviceDraft, LiveDevice, SiteDraft } from '../adapter-kit/model.ts';
import type { Platform } from '../sandbox/platforms.ts';
import { SANDBOX_ORGS, type SandboxOrg, splitDevices } from '../sandbox/world.ts';
import { vendors } from '../subgraphs/index.ts';
import type { Listed } from './contract-events.ts';

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

function devicesOf({ org, count, sites }: Account): readonly DeviceDraft[] {
  const key = `${org} ${count} ${sites}`;
  let devices = worlds.get(key);
  if (devices === undefined) {
    devices = Array.from({ length: count }, (_, number) => draftOf(org, sites, number));
    worlds.set(key, devices);
  }
  return devices;
}

function sitesOf({ org, sites }: Account): readonly SiteDraft[] {
  return orgWith(org, sites).sites.map(({ name, address, timezone }, site) => ({
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

function createMemoryAdapter(account: Account, now: () => Date): Adapter {
  const devices = devicesOf(account);
  const byId = new Map(devices.map((device) => [device.nativeId, device]));
  return {
    probe: async () => ({ checks: [], accountId: uuid(0, account.org, 0), accountName: null }),
    listSites: async () => sitesOf(account),
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

interface Account {
  /** Its place among the sandbox's. */
  readonly org: number;
  readonly count: number;
  readonly sites: number;
}

/** The address names the account: `account-<org>-<devices>-<sites>.example`. */
const ADDRESS = /^account-(\d+)-(\d+)-(\d+)\.example$/;

function addressOf({ org, count, sites }: Account): string {
  return `https://account-${org}-${count}-${sites}.example`;
}

function accountAt(hostname: string | undefined): Account {
  const [, org, count, sites] = ADDRESS.exec(hostname ?? '') ?? [];
  if (org === undefined) throw new Error('not an account of the benchmark');
  return { org: Number(org), count: Number(count), sites: Number(sites) };
}

/** One of the sandbox's customers, as it is when it has so many sites, and else with as many branches. */
function orgWith(number: number, sites: number): SandboxOrg {
  const org = SANDBOX_ORGS[number];
  const [first] = org?.sites ?? [];
  if (org === undefined || first === undefined) throw new Error(`there is no org ${number}`);
  if (org.sites.length >= sites) return org;
  return { ...org, sites: Array.from({ length: sites }, (_, at) => ({ ...first, name: `Branch ${at + 1}` })) };
}

/** The customers of these platforms, and the sandbox's others. */
export function orgsOf(platforms: readonly BenchPlatform[]): readonly SandboxOrg[] {
  return SANDBOX_ORGS.map((org, number) => {
    const platform = platforms.find(({ orgKey }) => orgKey === org.key);
    return platform === undefined ? org : orgWith(number, platform.sites.length);
  });
}

export const memoryVendor: Vendor = {
  ...realVendor,
  createAdapter({ baseUrl, now }) {
    return createMemoryAdapter(accountAt(baseUrl?.hostname), now);
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
  return splitDevices(devices, shares).map((count, org) =>
    platformOf({ org, count, sites: chosen[org]?.sites.length ?? 0 }),
  );
}

/** One customer with many sites, all with equally many devices. */
export function widePlatform(devices: number, sites: number): BenchPlatform {
  return platformOf({ org: 0, count: devices, sites });
}

function platformOf(account: Account): BenchPlatform {
  return {
    orgKey: SANDBOX_ORGS[account.org]?.key ?? '',
    integration: {
      baseUrl: addressOf(account),
      credentials: { apiKey: 'bench-bench-bench' },
      settings: {},
      signatureProfile: 'CONTRACT_V1',
    },
    sites: sitesOf(account),
    deviceCount: account.count,
  };
}

/** What deliveries of such a platform speak of. */
export function listedBy({ integration }: BenchPlatform): Listed {
  const account = accountAt(new URL(integration.baseUrl).hostname);
  return {
    accountId: uuid(0, account.org, 0),
    devices: devicesOf(account).map(({ nativeId, nativeSiteId }) => ({
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
