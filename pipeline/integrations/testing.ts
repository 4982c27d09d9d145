import { randomBytes } from 'node:crypto';
import type { KyselyPlugin } from 'kysely';
import { pino } from 'pino';
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type {
  Adapter,
  ListenItem,
  ProbeReport,
  VendorAccount,
  WebhookRegistration,
  WebhookTarget,
} from '../../adapter-kit/adapter.ts';
import { commonSettings } from '../../adapter-kit/common-settings.ts';
import { defineVendor, type IngestTraits, type Vendor } from '../../adapter-kit/define-vendor.ts';
import { defineEventTable } from '../../adapter-kit/event-table.ts';
import type { DeviceDraft, DevicePage, DeviceRef, LiveDevice, SiteDraft } from '../../adapter-kit/model.ts';
import type { HttpClientFactory } from '../../adapter-kit/http/http-client.ts';
import type { Principal, Scope } from '../../schema/principal.ts';
import type { Database } from '../../storage/database.ts';
import { newId } from '../../storage/ids.ts';
import { createLeases } from '../../storage/leases.ts';
import { createVault } from '../../storage/vault.ts';
import { createEventWriter } from '../process/event-writer.ts';
import type { Clock } from './clock.ts';
import { createIntegrationRuntime } from './runtime.ts';

// What tests of the integration runtime stand on: a platform in memory, a vendor that speaks to it, a clock that is
// moved by hand.

export const silent = pino({ level: 'silent' });

/** An instant in every test's present. */
export const TEST_NOW = Date.UTC(2026, 1, 4, 12, 0, 0);

/** A clock that stands still until it is moved; timers run in order of their time. */
export class ManualClock implements Clock {
  #elapsed = 0;
  /** What the clock says at the beginning of all. */
  #zero = TEST_NOW;
  #order = 0;
  readonly #timers = new Map<number, { readonly at: number; readonly job: () => void }>();

  readonly now = (): number => this.#zero + this.#elapsed;

  readonly elapsedMs = (): number => this.#elapsed;

  /** Somebody sets the clock: no time passes. */
  set(byMs: number): void {
    this.#zero += byMs;
  }

  readonly after = (ms: number, job: () => void): (() => void) => {
    this.#order += 1;
    const id = this.#order;
    this.#timers.set(id, { at: this.#elapsed + ms, job });
    return () => this.#timers.delete(id);
  };

  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves the time and runs what is due. @param settle lets the work of one job happen before the next */
  async advance(ms: number, settle: () => Promise<unknown> = () => new Promise(setImmediate)): Promise<void> {
    const until = this.#elapsed + ms;
    for (;;) {
      const due = [...this.#timers]
        .filter(([, { at }]) => at <= until)
        .toSorted(([a, x], [b, y]) => x.at - y.at || a - b);
      const [next] = due;
      if (next === undefined) break;
      const [id, { at, job }] = next;
      this.#timers.delete(id);
      this.#elapsed = Math.max(this.#elapsed, at);
      job();
      await settle();
    }
    this.#elapsed = until;
  }
}

/** Waits until something is so, for what happens in the background. @throws after 60 s */
export async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`it never came to pass that ${what}`);
    await new Promise(setImmediate);
  }
}

/** Turns of the event loop without a query after which nothing more is going on. */
const QUIET_TURNS = 5;

/** A database that tells when nobody asks it anything any more: for tests whose time must not outrun it. */
export function watched(db: Database): { readonly db: Database; readonly settle: () => Promise<void> } {
  let pending = 0;
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      pending += 1;
      return node;
    },
    async transformResult({ result }) {
      pending -= 1;
      return result;
    },
  };
  return {
    db: {
      ...db,
      read: db.read.withPlugin(plugin),
      async write(job) {
        pending += 1;
        try {
          return await db.write(job);
        } finally {
          pending -= 1;
        }
      },
    },
    async settle() {
      for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
        await new Promise(setImmediate);
        if (pending > 0) quiet = -1;
      }
    },
  };
}

export function device(nativeId: string, changes: Partial<DeviceDraft> = {}): DeviceDraft {
  return {
    nativeId,
    nativeOrgId: 'account-1',
    nativeSiteId: 'site-1',
    name: `Camera ${nativeId}`,
    type: 'CAMERA',
    vendorType: 'cam',
    status: { state: 'ONLINE', reason: null, vendorState: 'online', observedAt: null },
    ...changes,
  };
}

/** A platform in memory. Tests change its members. */
export class FakePlatform {
  devices: DeviceDraft[] = [];
  sites: SiteDraft[] = [
    {
      nativeOrgId: 'account-1',
      nativeId: 'site-1',
      name: 'Head office',
      address: '1 Main Street',
      coordinates: null,
      timezone: 'Europe/Berlin',
      deviceCount: null,
    },
  ];
  pageSize = 100;
  /** Null: the platform tells no count. */
  totalCount: number | null | 'right' = 'right';
  /** Asked before every call; what it throws is what the call throws. `page` counts from 1 in listings. */
  fault: (call: string, page: number) => Error | null = () => null;
  /** Holds a call until the promise resolves. */
  gate: (call: string, page: number) => Promise<void> = () => Promise.resolve();
  rejected: NonNullable<DevicePage['rejected']> = [];
  probeReport: ProbeReport = {
    checks: [{ id: 'credentials', title: 'Credentials', state: 'PASS', detail: null }],
    accountId: 'account-1',
    accountName: 'Account One',
  };
  /** Null: it cannot be asked whose inventory it shows. */
  account: VendorAccount | null = null;
  /** Null: it has no webhook API. */
  registers: ((target: WebhookTarget) => WebhookRegistration) | null = null;
  /** What `listen` yields; null: it cannot listen. */
  listen: ((resumeToken: string | null, signal: AbortSignal) => AsyncIterable<ListenItem>) | null = null;
  readonly calls: string[] = [];
  readonly reads: (readonly DeviceRef[])[] = [];
  opened = 0;
  closed = 0;

  async called(call: string, page: number, signal?: AbortSignal): Promise<void> {
    this.calls.push(call);
    await Promise.race([this.gate(call, page), aborted(signal)]);
    const fault = this.fault(call, page);
    if (fault !== null) throw fault;
  }
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((_, reject) => {
    const fail = (): void => {
      reject(new AdapterError('TIMEOUT', 'called off'));
    };
    if (signal?.aborted) fail();
    signal?.addEventListener('abort', fail, { once: true });
  });
}

function live(draft: DeviceDraft): LiveDevice {
  return {
    nativeId: draft.nativeId,
    nativeSiteId: draft.nativeSiteId,
    name: draft.name,
    type: draft.type,
    state: draft.status?.state ?? 'UNKNOWN',
    vendorState: draft.status?.vendorState ?? null,
    checkedAt: new Date(TEST_NOW),
    extras: {},
  };
}

const FakeSettings = z.strictObject({
  ...commonSettings,
  colour: z.string().default('red'),
});

export function fakeVendor(platform: FakePlatform, ingest: Partial<IngestTraits> = {}): Vendor {
  const vendor = defineVendor({
    slug: 'fake-cloud',
    graphqlName: 'FakeCloud',
    name: 'Fake Cloud',
    schemaPath: new URL('file:///nowhere/schema.graphql'),
    settings: FakeSettings,
    credentialKinds: ['apiKey', 'basic'],
    signatureProfiles: ['STANDARD_WEBHOOKS', 'CONTRACT_V1'],
    ingest: {
      webhooks: true,
      listens: false,
      polls: true,
      expectedSilenceMs: 300_000,
      syncIntervalMs: 3_600_000,
      pollIntervalMs: 60_000,
      ...ingest,
    },
    eventTable: defineEventTable(1, []),
    createAdapter: (): Adapter => {
      platform.opened += 1;
      return {
        async probe(signal) {
          await platform.called('probe', 1, signal);
          return platform.probeReport;
        },
        async readAccount() {
          const fault = platform.fault('readAccount', 1);
          if (fault !== null) throw fault;
          return platform.account;
        },
        async listSites(signal) {
          await platform.called('listSites', 1, signal);
          return platform.sites;
        },
        async *listDevices(signal) {
          const all = [...platform.devices];
          const pages = Math.max(1, Math.ceil(all.length / platform.pageSize));
          for (let page = 1; page <= pages; page += 1) {
            await platform.called('listDevices', page, signal);
            yield {
              devices: all.slice((page - 1) * platform.pageSize, page * platform.pageSize),
              rejected: page === 1 ? platform.rejected : [],
              totalCount: platform.totalCount === 'right' ? all.length + platform.rejected.length : platform.totalCount,
            };
          }
        },
        async readDevices(refs, signal) {
          platform.reads.push(refs);
          await platform.called('readDevices', 1, signal);
          const wanted = new Set(refs.map(({ nativeId }) => nativeId));
          const found = platform.devices.filter(({ nativeId }) => wanted.has(nativeId));
          return new Map(found.map((draft) => [draft.nativeId, live(draft)]));
        },
        async readPlatform(signal) {
          await platform.called('readPlatform', 1, signal);
          return { version: '1.0', checkedAt: new Date(TEST_NOW), extras: {} };
        },
        async pageDevices(first, after, signal) {
          await platform.called('pageDevices', 1, signal);
          const from = after === null ? 0 : Number(after);
          const to = from + first;
          return {
            devices: platform.devices.slice(from, to).map(live),
            next: to < platform.devices.length ? String(to) : null,
          };
        },
        ...(platform.listen === null ? {} : { listen: platform.listen }),
        ...(platform.registers === null
          ? {}
          : {
              async registerWebhook(target: WebhookTarget, signal: AbortSignal) {
                await platform.called('registerWebhook', 1, signal);
                if (platform.registers === null) throw new AdapterError('NOT_SUPPORTED', 'no webhook API');
                return platform.registers(target);
              },
              async unregisterWebhook(_: string, signal: AbortSignal) {
                await platform.called('unregisterWebhook', 1, signal);
              },
            }),
        async close() {
          platform.closed += 1;
        },
      };
    },
    decode: () => [],
    simulator: () => Promise.reject(new Error('the platform is in memory')),
  });
  // What a list of vendors holds: declarations whose settings are their own business.
  return {
    ...vendor,
    createAdapter: (options) => vendor.createAdapter({ ...options, settings: FakeSettings.parse(options.settings) }),
  };
}

const noHttp: HttpClientFactory = () => {
  throw new Error('the platform is in memory');
};

/** The parts that all tests of the runtime need, over one database. */
export function createParts(db: Database, platform: FakePlatform, ingest: Partial<IngestTraits> = {}) {
  const clock = new ManualClock();
  const vault = createVault({ masterKey: randomBytes(32) });
  const vendor = fakeVendor(platform, ingest);
  const runtime = createIntegrationRuntime({
    db,
    vault,
    vendors: [vendor],
    http: noHttp,
    logger: silent,
    now: clock.now,
  });
  const leases = createLeases({ db, now: clock.now });
  const events = createEventWriter({ db });
  return { db, clock, vault, vendor, vendors: [vendor], runtime, leases, events, logger: silent };
}

export async function seedOrg(db: Database, name = 'Org'): Promise<string> {
  const id = newId('org');
  await db.write((tx) =>
    tx
      .insertInto('orgs')
      .values({ id, name, customer_ref: null, revision: 0, created_at: TEST_NOW, updated_at: TEST_NOW })
      .execute(),
  );
  return id;
}

export async function seedSite(db: Database, orgId: string, name = 'Site'): Promise<string> {
  const id = newId('site');
  const place = { address: null, latitude: null, longitude: null, timezone: null };
  await db.write((tx) =>
    tx
      .insertInto('sites')
      .values({ id, org_id: orgId, name, ...place, created_at: TEST_NOW, updated_at: TEST_NOW })
      .execute(),
  );
  return id;
}

export async function seedBinding(
  db: Database,
  binding: {
    readonly orgId: string;
    readonly integrationId: string;
    readonly siteId: string;
    readonly vendorSiteId?: string;
  },
): Promise<string> {
  const id = newId('bind');
  await db.write((tx) =>
    tx
      .insertInto('site_bindings')
      .values({
        id,
        org_id: binding.orgId,
        integration_id: binding.integrationId,
        vendor_org_id: 'account-1',
        vendor_site_id: binding.vendorSiteId ?? 'site-1',
        vendor_site_name: null,
        site_id: binding.siteId,
        created_at: TEST_NOW,
      })
      .execute(),
  );
  return id;
}

export async function seedIntegration(
  db: Database,
  orgId: string,
  changes: { readonly ingest_mode?: string; readonly expected_silence_ms?: number; readonly settings?: string } = {},
): Promise<string> {
  const id = newId('int');
  await db.write((tx) =>
    tx
      .insertInto('integrations')
      .values({
        id,
        org_id: orgId,
        vendor: 'fake-cloud',
        name: 'Fake',
        base_url: 'https://fake.example',
        settings: '{}',
        state: 'PENDING',
        ingest_mode: 'PUSH_WITH_POLL_FALLBACK',
        signature_profile: 'STANDARD_WEBHOOKS',
        tolerance_seconds: 300,
        enabled: 1,
        version: 1,
        idempotency_key: null,
        account_id: null,
        account_name: null,
        webhook_native_id: null,
        last_webhook_at: null,
        last_event_at: null,
        last_sync_at: null,
        last_sync_state: null,
        error_code: null,
        error_message: null,
        expected_silence_ms: null,
        resume_token: null,
        created_at: TEST_NOW,
        updated_at: TEST_NOW,
        ...changes,
      })
      .execute(),
  );
  return id;
}

/** A principal of these orgs that may do everything a token allows except `admin`. */
export function principalOf(orgIds: readonly string[], changes: Partial<Principal> = {}): Principal {
  const scopes: readonly Scope[] = ['inventory:read', 'events:read', 'control:write', 'integrations:write'];
  return {
    id: 'test',
    kind: 'USER',
    scopes: new Set(scopes),
    access: { orgIds: orgIds.toSorted(), siteIds: null },
    expiresAt: null,
    ...changes,
  };
}
