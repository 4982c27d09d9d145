import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import { type Config, DEFAULT_LIMITS } from '../config.ts';
import { createTokenIssuer, type TokenIssuer } from '../gateway/auth/issuer.ts';
import type { Logger } from '../logger.ts';
import { startApp } from '../main.ts';
import type { Scope } from '../schema/principal.ts';
import { deviceId } from '../storage/ids.ts';
import { readCredentials, type SandboxCredentials, writeCredentials } from './credentials.ts';
import { createGraphqlClient, type GraphqlClient } from './graphql-client.ts';
import { type Platform, startPlatforms } from './platforms.ts';
import { linkFirePanel } from './links.ts';
import { seed, tellPlatform } from './seed.ts';
import { writeShellVariables } from './shell-variables.ts';
import { startTraffic } from './traffic.ts';

/** Simulated platforms and their callers live on this machine. */
const LOOPBACK = ['127.0.0.0/8', '::1/128'];
/** A sandbox is thrown away long before; a script that was set up once goes on working. */
const TOKEN_SECONDS = 365 * 86_400;
const ORG_SCOPES: readonly Scope[] = ['inventory:read', 'events:read', 'control:write', 'integrations:write'];
/** The first reading of the simulated platforms takes a second; a machine under load takes more. */
const INVENTORY_MS = 60_000;
const LOOK_EVERY_MS = 50;

export interface SandboxOptions {
  readonly vendors: readonly Vendor[];
  /** Where it keeps everything. */
  readonly dir: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** All platforms together; what an existing sandbox has is kept. */
  readonly devices: number;
  /** No status changes by themselves. */
  readonly isStill: boolean;
  /** Throws away what an earlier sandbox left. */
  readonly reset: boolean;
  readonly logger: Logger;
  /** Instead of the embedded database; for tests of the other engine. */
  readonly databaseUrl?: string;
  /** See AppOptions. */
  readonly processingThread?: URL;
}

export interface Sandbox {
  readonly url: string;
  readonly credentials: SandboxCredentials;
  readonly credentialsFile: string;
  readonly platforms: readonly Platform[];
  readonly devices: number;
  close(): Promise<void>;
}

async function issueTokens(issuer: TokenIssuer, orgs: SandboxCredentials['orgs']): Promise<Record<string, string>> {
  const tokens: Record<string, string> = {};
  for (const { id, key, siteIds } of orgs) {
    tokens[key] = await issuer.issue({
      sub: `sandbox:${key}`,
      scopes: ORG_SCOPES,
      orgIds: [id],
      ttlSeconds: TOKEN_SECONDS,
    });
    tokens[`${key}:site`] = await issuer.issue({
      sub: `sandbox:${key}:site`,
      scopes: ['inventory:read', 'events:read'],
      orgIds: [id],
      siteIds: siteIds.slice(0, 1),
      ttlSeconds: TOKEN_SECONDS,
    });
  }
  return tokens;
}

/** Waits until every device of the platforms is in the graph, so that what is printed then is true. */
async function waitForInventory(call: GraphqlClient, platforms: readonly Platform[]): Promise<number> {
  const expected = platforms.reduce((count, { simulator }) => count + simulator.devices().length, 0);
  const deadline = Date.now() + INVENTORY_MS;
  for (;;) {
    const { devices } = await call(
      '{ devices(first: 0) { totalCount } }',
      {},
      z.object({ devices: z.object({ totalCount: z.int() }) }),
    );
    if (devices.totalCount >= expected) return devices.totalCount;
    if (Date.now() > deadline) throw new Error(`only ${devices.totalCount} of ${expected} devices are in the graph`);
    await wait(LOOK_EVERY_MS);
  }
}

/**
 * Starts simulated platforms and the product in front of them, filled through its public API at the first start. At the
 * next start it goes on with the same ids, secrets and tokens.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { vendors, host, port, devices, isStill, logger } = options;
  const dir = resolve(options.dir);
  const credentialsFile = join(dir, 'credentials.json');
  const before = options.reset ? null : readCredentials(credentialsFile);
  // Without the credentials, what else is there cannot be used: an earlier start was killed before it was filled.
  if (before === null && existsSync(dir)) rmSync(dir, { recursive: true });

  await using parts = new AsyncDisposableStack();
  const issuer = await createTokenIssuer({ keyFile: join(dir, 'issuer.jwk') });
  const platforms = await startPlatforms({
    vendors,
    devices,
    stateDir: join(dir, 'platforms'),
    portOf(orgKey, vendor) {
      const known = before?.integrations.find((each) => each.orgKey === orgKey && each.vendor === vendor.enumValue);
      return known === undefined ? 0 : Number(new URL(known.simulatorUrl).port);
    },
  });
  for (const { simulator } of platforms) parts.defer(() => simulator.close());

  const admin =
    before?.tokens['admin'] ??
    (await issuer.issue({
      sub: 'sandbox:admin',
      scopes: [...ORG_SCOPES, 'admin'],
      orgIds: 'all',
      ttlSeconds: TOKEN_SECONDS,
    }));
  const demo = { token: admin, variables: {} as Record<string, unknown> };
  const config: Config = {
    host,
    port,
    dataDir: join(dir, 'data'),
    databaseUrl: options.databaseUrl ?? `sqlite:${join(dir, 'data', 'convergraph.db')}`,
    publicUrl: null,
    auth: { issuer: issuer.issuer, audience: issuer.audience, keys: { keys: issuer.jwks() } },
    masterKey: null,
    outboundAllowCidrs: LOOPBACK,
    corsOrigins: [],
    logLevel: 'warn',
    metricsToken: null,
    limits: DEFAULT_LIMITS,
  };
  const { processingThread } = options;
  const app = await startApp({ config, vendors, logger, demo, isSandbox: true, processingThread });
  parts.defer(() => app.close());

  const graphqlUrl = `${app.url}/graphql`;
  const call = createGraphqlClient(graphqlUrl, admin);
  const contents = await fill(call, platforms, app.url, before);
  const credentials: SandboxCredentials = {
    graphqlUrl,
    wsUrl: graphqlUrl.replace(/^http/, 'ws'),
    tokens: before?.tokens ?? { admin, ...(await issueTokens(issuer, contents.orgs)) },
    ...contents,
  };
  const count = await waitForInventory(call, platforms);
  if (before === null) await linkFirePanel(call, contents, platforms);
  writeCredentials(credentialsFile, credentials);
  writeShellVariables(join(dir, 'env'), credentials, platforms);
  demo.variables = exampleValues(credentials, platforms);
  if (!isStill) parts.defer(startTraffic(platforms));

  const running = parts.move();
  let closing: Promise<void> | null = null;
  return {
    url: app.url,
    credentials,
    credentialsFile,
    platforms,
    devices: count,
    close: () => (closing ??= running.disposeAsync()),
  };
}

/** What the playground's examples are filled in with. */
function exampleValues(
  { orgs, integrations }: SandboxCredentials,
  platforms: readonly Platform[],
): Record<string, unknown> {
  const [org] = orgs;
  const [integration] = integrations;
  const [platform] = platforms;
  return {
    org: org?.id,
    site: org?.siteIds[0],
    integration: integration?.id,
    key: 'playground-1',
    family: 'HEALTH',
    devices: exampleDevices(integration, platform),
    text: 'camera',
    then: new Date().toISOString(),
    in: {
      orgId: org?.id,
      vendor: integration?.vendor,
      name: 'Another account',
      ...(platform === undefined
        ? {}
        : { baseUrl: platform.simulator.integration.baseUrl, credentials: platform.simulator.integration.credentials }),
    },
  };
}

/** A few devices to make up events of. */
const EXAMPLE_DEVICES = 3;

function exampleDevices(
  integration: SandboxCredentials['integrations'][number] | undefined,
  platform?: Platform,
): string[] {
  if (integration === undefined || platform === undefined) return [];
  const devices = platform.simulator.devices().slice(0, EXAMPLE_DEVICES);
  return devices.map(({ nativeId }) => deviceId(integration.id, nativeId));
}

/** Fills an empty sandbox; in one that goes on, tells platforms where we are now. */
async function fill(
  call: GraphqlClient,
  platforms: readonly Platform[],
  url: string,
  before: SandboxCredentials | null,
): Promise<Pick<SandboxCredentials, 'orgs' | 'integrations'>> {
  if (before === null) return seed(call, platforms);
  const integrations = before.integrations.map((integration) => {
    const platform = platforms.find(
      ({ org, vendor }) => org.key === integration.orgKey && vendor.enumValue === integration.vendor,
    );
    if (platform === undefined || integration.webhookUrl === null) return integration;
    const webhookUrl = new URL(new URL(integration.webhookUrl).pathname, url).href;
    const moved = { ...integration, webhookUrl };
    if (webhookUrl !== integration.webhookUrl) tellPlatform(platform.simulator, moved);
    return moved;
  });
  return { orgs: before.orgs, integrations };
}
