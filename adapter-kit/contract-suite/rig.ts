import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { pino } from 'pino';
import type { Adapter } from '../adapter.ts';
import type { Credentials, Vendor } from '../define-vendor.ts';
import { createHttpClientFactory } from '../http/create-http-client.ts';
import type { DeviceDraft, DevicePage, DeviceRef } from '../model.ts';
import type { ResolveName } from '../network/address-guard.ts';
import type { SimulatedDevice, Simulator } from '../simulator.ts';

/** A clause of the contract that one vendor cannot keep, with the reason. */
export type Exemptions = Readonly<
  Partial<
    Record<
      | 'wrong-credentials'
      | 'wrong-host'
      | 'wrong-name'
      | 'outage'
      | 'unknown-words'
      | 'page-devices'
      // The platform says no state when asked: live reads answer UNKNOWN, and events alone make the status.
      | 'live-state',
      string
    >
  >
>;

export interface VendorContractOptions {
  /** Settings in addition to the simulator's. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /**
   * Size of the simulated platform; default 330 devices on 3 sites. Choose more where that is one page of the platform: a
   * listing of one page proves nothing about the next.
   */
  readonly devices?: number;
  readonly sites?: number;
  /** Platform calls that one live read of everything may cost; default: two per site and two more. */
  readonly maxReadCalls?: number;
  /** Which devices tell of themselves in which way, where a platform has several and not each device has all. */
  readonly tellsBy?: Readonly<Partial<Record<'webhooks' | 'stream', (device: SimulatedDevice) => boolean>>>;
  readonly exempt?: Exemptions;
}

export const UNKNOWN_NAME = 'platform.invalid';

/** A simulated platform and the means to connect to it, rightly and wrongly. */
export interface Rig {
  readonly vendor: Vendor;
  readonly simulator: Simulator;
  readonly settings: unknown;
  readonly credentials: Credentials | null;
  readonly baseUrl: URL | null;
  readonly open: (over?: { readonly baseUrl?: URL; readonly credentials?: Credentials }) => Adapter;
  /** Starts or, with 0, ends an outage. */
  readonly outage: (seconds: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

// The suite's own resolver refuses one name at once: a real one could take seconds to say so.
const resolve: ResolveName = (hostname, _, done) => {
  if (hostname === UNKNOWN_NAME) done(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
  else done(null, [{ address: '127.0.0.1', family: 4 }]);
};

export async function startRig(vendor: Vendor, options: VendorContractOptions): Promise<Rig> {
  const module = await vendor.simulator();
  const simulator = await module.startSimulator({
    seed: 7,
    accountId: '6a0e2b9c-8f6e-4d51-9a55-000000000001',
    accountName: 'Contract suite',
    sites: Array.from({ length: options.sites ?? 3 }, (_, index) => ({
      name: `Site ${index + 1}`,
      address: `${index + 1} Main Street, Springfield`,
      timezone: 'America/Chicago',
    })),
    devices: options.devices ?? 330,
    port: 0,
    stateFile: null,
    now: () => new Date(),
  });
  const { integration } = simulator;
  const settings: unknown = vendor.settings.parse({ ...integration.settings, ...options.settings });
  const credentials = toCredentials(integration.credentials);
  const baseUrl = new URL(integration.baseUrl);
  const http = createHttpClientFactory({
    network: { allow: ['127.0.0.0/8', '::1/128'], allowHttp: true },
    logger: pino({ level: 'silent' }),
    now: () => new Date(),
    random: () => 0,
    resolve,
  });
  const opened: Adapter[] = [];
  return {
    vendor,
    simulator,
    settings,
    credentials,
    baseUrl,
    open(over = {}) {
      const adapter = vendor.createAdapter({
        integrationId: 'int_contract',
        baseUrl: over.baseUrl ?? baseUrl,
        credentials: over.credentials ?? credentials,
        settings,
        http,
        logger: pino({ level: 'silent' }),
        now: () => new Date(),
      });
      opened.push(adapter);
      return adapter;
    },
    async outage(seconds) {
      const answer = await fetch(new URL('/_sim/outage', simulator.url), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ seconds }),
      });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`the simulator answered ${answer.status} to an outage of ${seconds} s`);
    },
    async stop() {
      await Promise.all(opened.map((adapter) => adapter.close()));
      await simulator.close();
    },
  };
}

/** The API's CredentialsInput, as the simulator hands it out, in the adapter's form. */
export function toCredentials(input: Readonly<Record<string, unknown>>): Credentials | null {
  const given = Object.entries(input).filter(([, value]) => value !== null && value !== undefined);
  const [first] = given;
  if (first === undefined) return null;
  if (given.length !== 1) throw new Error('a simulator must hand out exactly one kind of credentials');
  const [kind, value] = first;
  if (kind === 'apiKey') return { kind, apiKey: String(value) };
  const member = (name: string): string => String(Reflect.get(Object(value), name));
  if (kind === 'basic') return { kind, username: member('username'), password: member('password') };
  if (kind === 'oauthClient')
    return { kind, clientId: member('clientId'), clientSecret: member('clientSecret'), tokenUrl: member('tokenUrl') };
  if (kind !== 'signedJwt') throw new Error(`"${kind}" is no kind of credentials`);
  const ttlSeconds = Number(Reflect.get(Object(value), 'ttlSeconds') ?? 300);
  return { kind, issuer: member('issuer'), privateKeyPem: member('privateKeyPem'), ttlSeconds };
}

/** Of the same kind and well-formed, but not the platform's. */
export function wrongCredentials(credentials: Credentials): Credentials {
  switch (credentials.kind) {
    case 'apiKey':
      return { ...credentials, apiKey: 'wrong-key-wrong-key-wrong-key' };
    case 'basic':
      return { ...credentials, password: 'wrong-password' };
    case 'oauthClient':
      return { ...credentials, clientSecret: 'wrong-secret-wrong-secret' };
    case 'signedJwt': {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
      return { ...credentials, privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    }
    default:
      return credentials satisfies never;
  }
}

/** The same address with a port where nobody listens. */
export async function deafAddress(baseUrl: URL): Promise<URL> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  const url = new URL(baseUrl);
  url.port = String(typeof address === 'object' ? address?.port : '');
  return url;
}

/** The same address with a name that nobody has. */
export function namelessAddress(baseUrl: URL): URL {
  const url = new URL(baseUrl);
  url.hostname = UNKNOWN_NAME;
  return url;
}

export const never = (): AbortSignal => new AbortController().signal;

export async function listAll(
  adapter: Adapter,
): Promise<{ readonly devices: readonly DeviceDraft[]; readonly pages: readonly DevicePage[] }> {
  const pages: DevicePage[] = [];
  for await (const page of adapter.listDevices(never())) pages.push(page);
  return { devices: pages.flatMap((page) => page.devices), pages };
}

export function refsOf(devices: readonly DeviceDraft[]): readonly DeviceRef[] {
  return devices.map(({ nativeId, nativeOrgId, nativeSiteId }) => ({ nativeId, nativeOrgId, nativeSiteId }));
}

export function stateWord(state: 'online' | 'offline'): 'ONLINE' | 'OFFLINE' {
  return state === 'online' ? 'ONLINE' : 'OFFLINE';
}
