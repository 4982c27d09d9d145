import { z } from 'zod';
import type { Vendor } from '../adapter-kit/define-vendor.ts';
import type { DevicePage } from '../adapter-kit/model.ts';
import { createLogger } from '../logger.ts';
import { type App, startApp } from '../main.ts';
import type { SandboxCredentials } from '../sandbox/credentials.ts';
import { createGraphqlClient } from '../sandbox/graphql-client.ts';
import { seed } from '../sandbox/seed.ts';
import { answerCalls } from './child.ts';
import { until } from './measure.ts';
import { type BenchPlatform, memoryVendor, orgsOf, realVendor, toPlatform, vendorOf } from './memory-platform.ts';
import { configOf, issuerOf, type Setting } from './setting.ts';

// The product as `npm start` runs it, embedded, filled through its public API.

const TOKEN_SECONDS = 86_400;

export interface World extends Pick<SandboxCredentials, 'orgs' | 'integrations'> {
  /** Sees everything. */
  readonly token: string;
}

let app: App | null = null;
let token = '';
let deployed: Vendor = realVendor;
/** Platforms list nothing for now. */
let isHeld = false;

function holdable(vendor: Vendor): Vendor {
  return {
    ...vendor,
    createAdapter(options) {
      const adapter = vendor.createAdapter(options);
      async function* nothing(): AsyncGenerator<DevicePage> {
        yield { devices: [], totalCount: 0 };
      }
      return { ...adapter, listDevices: (signal) => (isHeld ? nothing() : adapter.listDevices(signal)) };
    },
  };
}

const SyncRun = z.object({
  state: z.string(),
  trigger: z.string(),
  startedAt: z.string(),
  finishedAt: z.string().nullable(),
  listed: z.int(),
  added: z.int(),
  updated: z.int(),
});

function client() {
  if (app === null) throw new Error('the product is not started');
  return createGraphqlClient(`${app.url}/graphql`, token);
}

const calls = {
  async start(setting: Setting): Promise<{ readonly url: string; readonly token: string }> {
    const issuer = await issuerOf(setting);
    token = await issuer.issue({
      sub: 'bench',
      scopes: ['inventory:read', 'events:read', 'integrations:write', 'admin'],
      orgIds: 'all',
      ttlSeconds: TOKEN_SECONDS,
    });
    const http = setting.vendor === undefined ? realVendor : vendorOf(setting.vendor);
    deployed = setting.platforms === 'memory' ? memoryVendor : http;
    app = await startApp({
      config: configOf(setting, issuer),
      vendors: [holdable(deployed)],
      logger: createLogger('warn'),
      processingThread: new URL(
        setting.platforms === 'memory' ? './memory-processing.ts' : '../processing-thread.ts',
        import.meta.url,
      ),
    });
    return { url: app.url, token };
  },

  /** Connects the platforms while their listings are empty; the next sync is the first one that finds anything. */
  async fillHeld(platforms: readonly BenchPlatform[]): Promise<World> {
    isHeld = true;
    const world = await seed(
      client(),
      platforms.map((platform) => toPlatform(platform, deployed)),
      orgsOf(platforms),
    );
    for (const { id } of world.integrations) await settled(id);
    isHeld = false;
    return { ...world, token };
  },

  /** Connects the platforms; resolves when their devices are in the graph. */
  async fill(platforms: readonly BenchPlatform[]): Promise<World> {
    const call = client();
    const world = await seed(
      call,
      platforms.map((platform) => toPlatform(platform, deployed)),
      orgsOf(platforms),
    );
    const expected = platforms.reduce((sum, { deviceCount }) => sum + deviceCount, 0);
    await until(`${expected} devices are in the graph`, async () => {
      const { devices } = await call(
        'query ($sites: [ID!]) { devices(first: 0, filter: { siteIds: $sites }) { totalCount } }',
        { sites: world.orgs.flatMap(({ siteIds }) => siteIds) },
        z.object({ devices: z.object({ totalCount: z.int() }) }),
      );
      return devices.totalCount === expected ? true : null;
    });
    for (const { id } of world.integrations) await settled(id);
    return { ...world, token };
  },

  /** Reads the whole inventory again. @returns the run that did it, in milliseconds, and the CPU that went by */
  async sync({ integrationId, key }: { readonly integrationId: string; readonly key: string }) {
    const before = process.cpuUsage();
    await client()(
      'mutation ($input: SyncIntegrationInput!) { syncIntegration(input: $input) { userErrors { message } } }',
      { input: { integrationId, idempotencyKey: key } },
      z.object({ syncIntegration: z.object({ userErrors: z.array(z.unknown()).max(0) }) }),
    );
    const [run] = await settled(integrationId);
    const { user, system } = process.cpuUsage(before);
    return { run, cpuMs: (user + system) / 1_000 };
  },

  runs: (integrationId: string) => settled(integrationId),

  /** How many devices of a kind are in the graph. */
  async countOf(type: string): Promise<number> {
    const { devices } = await client()(
      'query ($types: [DeviceType!]) { devices(first: 0, filter: { types: $types }) { totalCount } }',
      { types: [type] },
      z.object({ devices: z.object({ totalCount: z.int() }) }),
    );
    return devices.totalCount;
  },

  /** Resident memory as it is, without a garbage collection. */
  residentMib: () => process.memoryUsage.rss() / 1_048_576,

  /** The most memory that was ever resident, in KiB. */
  peakKib: () => process.resourceUsage().maxRSS,
};

export type ProductCalls = typeof calls;

export interface FinishedRun
  extends Pick<z.infer<typeof SyncRun>, 'state' | 'trigger' | 'listed' | 'added' | 'updated'> {
  readonly ms: number;
}

/** Newest first, once none is under way. */
async function settled(integrationId: string): Promise<readonly FinishedRun[]> {
  const call = client();
  return until('the syncs have ended', async () => {
    const { integration } = await call(
      `query ($id: ID!) { integration(id: $id) { syncRuns(first: 10) { nodes { state trigger startedAt finishedAt listed added updated } } } }`,
      { id: integrationId },
      z.object({ integration: z.object({ syncRuns: z.object({ nodes: z.array(SyncRun) }) }) }),
    );
    const { nodes } = integration.syncRuns;
    if (nodes.length === 0 || nodes.some(({ finishedAt }) => finishedAt === null)) return null;
    return nodes.map(({ startedAt, finishedAt, ...run }) => ({
      ...run,
      ms: Date.parse(finishedAt ?? startedAt) - Date.parse(startedAt),
    }));
  });
}

answerCalls(calls, async () => {
  await app?.close();
});
