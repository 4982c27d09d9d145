import { createHmac } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { z } from 'zod';
import { DecodeError } from '../adapter-kit/adapter-error.ts';
import { defineVendor, type Vendor } from '../adapter-kit/define-vendor.ts';
import { defineEventTable } from '../adapter-kit/event-table.ts';
import type { EventDraft } from '../adapter-kit/model.ts';
import { DEVICE_STATES, EVENT_FAMILIES, type SignatureProfile } from '../schema/words.ts';
import type { Database } from '../storage/database.ts';
import { deviceId } from '../storage/ids.ts';
import type { DeviceRow, IntegrationRow } from '../storage/rows.ts';
import { createVault } from '../storage/vault.ts';
import { DEVICE_DEFAULTS } from '../storage/fixtures/column-defaults.ts';

// What the pipeline's tests share: rows to work on, and a vendor whose deliveries are easy to write down.

export const quiet = pino({ level: 'silent' });

/** 2026-11-20T12:00:00Z */
export const NOON = Date.UTC(2026, 10, 20, 12);

export const SECRET = 'a webhook secret of decent length';

export const testVault = createVault({ masterKey: Buffer.alloc(32, 7) });

/** One event as the test vendor sends it. */
export interface AcmeEvent {
  readonly id?: string | null;
  readonly device?: string | null;
  readonly site?: string | null;
  readonly at?: number;
  readonly state?: 'ONLINE' | 'OFFLINE' | 'DEGRADED' | 'UNKNOWN' | null;
  readonly family?: (typeof EVENT_FAMILIES)[number];
  readonly type?: string;
  readonly actors?: readonly string[];
  /** The decoder breaks on it. */
  readonly poison?: boolean;
}

const Wire = z.object({
  events: z.array(
    z.object({
      id: z.string().nullable().default(null),
      device: z.string().nullable().default(null),
      site: z.string().nullable().default(null),
      at: z.number().default(NOON),
      state: z.enum(DEVICE_STATES).nullable().default(null),
      family: z.enum(EVENT_FAMILIES).default('HEALTH'),
      type: z.string().default('health.reported'),
      actors: z.array(z.string()).default([]),
      poison: z.boolean().default(false),
    }),
  ),
});

function parseWire(body: Uint8Array): z.infer<typeof Wire> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new DecodeError('PARSE', 'the body is not JSON', { cause: error });
  }
  const parsed = Wire.safeParse(json);
  if (!parsed.success) throw new DecodeError('SCHEMA', 'the body has no events');
  return parsed.data;
}

function draftOf(event: z.infer<typeof Wire>['events'][number]): EventDraft {
  if (event.poison) throw new TypeError('the decoder has a bug');
  return {
    vendorEventId: event.id,
    family: event.family,
    type: event.type,
    vendorCode: null,
    severity: event.state === 'OFFLINE' ? 'WARNING' : 'NOTICE',
    occurredAt: new Date(event.at),
    nativeOrgId: 'account',
    nativeSiteId: event.site,
    nativeDeviceId: event.device,
    claim:
      event.state === null
        ? null
        : { state: event.state, reason: 'REPORTED', vendorState: event.state, observedAt: null },
    isLifeSign: event.state === 'ONLINE',
    summary: `${event.device ?? 'the platform'} is ${event.state ?? 'talking'}`,
    details: event.actors.length === 0 ? {} : { actors: event.actors.map((kind) => ({ kind, confidence: null })) },
    raw: event,
  };
}

export const acme: Vendor = defineVendor({
  slug: 'acme',
  graphqlName: 'Acme',
  name: 'Acme',
  schemaPath: pathToFileURL('/dev/null'),
  settings: z.unknown(),
  credentialKinds: ['apiKey'],
  signatureProfiles: ['CONTRACT_V1', 'TIMESTAMPED_HMAC', 'STANDARD_WEBHOOKS', 'PATH_SECRET'],
  ingest: {
    webhooks: true,
    listens: false,
    polls: false,
    expectedSilenceMs: 60_000,
    syncIntervalMs: 60_000,
    pollIntervalMs: 60_000,
  },
  createAdapter: () => {
    throw new TypeError('this vendor has no adapter');
  },
  eventTable: defineEventTable(1, []),
  decode: (message) => parseWire(message.body).events.map(draftOf),
  simulator: () => Promise.reject(new TypeError('this vendor has no simulator')),
});

export interface SeedOptions {
  /** Default `a`: org_a, int_a, site_a (bound as `lobby`), site_a2 (bound as `roof`). */
  readonly name?: string;
  readonly profile?: SignatureProfile;
  /** Native ids, of vendor site `lobby`; default `cam-1`, `cam-2`. */
  readonly devices?: readonly string[];
  readonly bound?: boolean;
}

export interface Seeded {
  readonly orgId: string;
  readonly integration: IntegrationRow;
  readonly siteId: string;
  readonly secondSiteId: string;
  device(nativeId: string): string;
}

/** One org with one integration of the test vendor, two bound sites, and devices at the first. */
export async function seed(db: Database, options: SeedOptions = {}): Promise<Seeded> {
  const { name = 'a', profile = 'CONTRACT_V1', devices = ['cam-1', 'cam-2'], bound = true } = options;
  const orgId = `org_${name}`;
  const [siteId, secondSiteId] = [`site_${name}`, `site_${name}2`];
  const integration: IntegrationRow = {
    id: `int_${name}`,
    org_id: orgId,
    vendor: 'acme',
    name: `Acme of ${name}`,
    base_url: null,
    settings: '{}',
    state: 'CONNECTED',
    ingest_mode: 'PUSH',
    signature_profile: profile,
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
    silent_since: null,
    last_fallback_at: null,
    created_at: NOON,
    updated_at: NOON,
  };
  await db.write(async (tx) => {
    await tx
      .insertInto('orgs')
      .values({ id: orgId, name: orgId, customer_ref: null, revision: 0, created_at: NOON, updated_at: NOON })
      .execute();
    await tx.insertInto('integrations').values(integration).execute();
    for (const id of [siteId, secondSiteId]) {
      await tx
        .insertInto('sites')
        .values({
          id,
          org_id: orgId,
          name: id,
          address: null,
          latitude: null,
          longitude: null,
          timezone: null,
          created_at: NOON,
          updated_at: NOON,
        })
        .execute();
    }
  });
  await addSecret(db, integration.id, SECRET, null, `secret_${name}`);
  if (bound) {
    await bind(db, integration, 'lobby', siteId);
    await bind(db, integration, 'roof', secondSiteId);
  }
  for (const nativeId of devices) await addDevice(db, integration, nativeId, bound ? siteId : null);
  return { orgId, integration, siteId, secondSiteId, device: (nativeId) => deviceId(integration.id, nativeId) };
}

export async function addSecret(
  db: Database,
  integrationId: string,
  text: string,
  expiresAt: number | null,
  id = `secret_${text.length}_${integrationId}`,
): Promise<void> {
  const sealed = testVault.seal(text, { integrationId, purpose: 'webhook', id });
  await db.write((tx) =>
    tx
      .insertInto('secrets')
      .values({
        id,
        integration_id: integrationId,
        purpose: 'webhook',
        sealed,
        hint: '…',
        created_at: NOON,
        expires_at: expiresAt,
        last_used_at: null,
      })
      .execute(),
  );
}

export async function bind(
  db: Database,
  integration: IntegrationRow,
  vendorSiteId: string,
  siteId: string,
): Promise<void> {
  await db.write((tx) =>
    tx
      .insertInto('site_bindings')
      .values({
        id: `bind_${integration.id}_${vendorSiteId}`,
        org_id: integration.org_id,
        integration_id: integration.id,
        vendor_org_id: 'account',
        vendor_site_id: vendorSiteId,
        vendor_site_name: null,
        site_id: siteId,
        created_at: NOON,
      })
      .execute(),
  );
}

export async function addDevice(
  db: Database,
  integration: IntegrationRow,
  nativeId: string,
  siteId: string | null,
): Promise<void> {
  const row: DeviceRow = {
    id: deviceId(integration.id, nativeId),
    org_id: integration.org_id,
    integration_id: integration.id,
    vendor: integration.vendor,
    native_id: nativeId,
    vendor_org_id: 'account',
    vendor_site_id: 'lobby',
    site_id: siteId,
    zone_id: null,
    parent_id: null,
    system: null,
    name: nativeId,
    type: 'CAMERA',
    vendor_type: null,
    ip: null,
    hostname: null,
    manufacturer: null,
    model: null,
    firmware: null,
    serial_number: null,
    mac_addresses: '[]',
    capabilities: '[]',
    tags: '[]',
    telemetry: null,
    warranty_expires_at: null,
    end_of_support_at: null,
    state: 'UNKNOWN',
    state_rank: DEVICE_STATES.indexOf('UNKNOWN'),
    state_reason: null,
    state_since: 0,
    state_observed_at: 0,
    state_vendor: null,
    last_seen_at: null,
    content_hash: '',
    missed_syncs: 0,
    search_text: nativeId,
    first_seen_at: NOON,
    updated_at: NOON,
    removed_at: null,
    ...DEVICE_DEFAULTS,
  };
  await db.write((tx) => tx.insertInto('devices').values(row).execute());
}

export function acmeBody(...events: readonly AcmeEvent[]): Buffer {
  return Buffer.from(JSON.stringify({ events }));
}

/** Headers of profile CONTRACT_V1. @param at milliseconds since the epoch */
export function signed(body: Uint8Array, at: number, secret = SECRET): Record<string, string> {
  return {
    'content-type': 'application/json',
    'x-webhook-timestamp': String(Math.floor(at / 1_000)),
    'x-webhook-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  };
}

/** Resolves when `isTrue` says so; looks again whenever the event loop has turned. @throws after `ms` */
export async function until(isTrue: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error('the condition did not come true in time');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Time that stands still until `advance`. */
export function createTestTiming() {
  let elapsed = 0;
  let jobs: { readonly at: number; readonly job: () => void }[] = [];
  return {
    elapsedMs: () => elapsed,
    after(ms: number, job: () => void) {
      const entry = { at: elapsed + ms, job };
      jobs.push(entry);
      return () => {
        jobs = jobs.filter((each) => each !== entry);
      };
    },
    advance(ms: number) {
      elapsed += ms;
      const due = jobs.filter(({ at }) => at <= elapsed);
      jobs = jobs.filter(({ at }) => at > elapsed);
      for (const { job } of due) job();
    },
  };
}
