import { z } from 'zod';
import { DecodeError, type DecodeStage } from '../../adapter-kit/adapter-error.ts';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { DecodeContext, EventDraft, InventoryDelivery } from '../../adapter-kit/model.ts';
import { EVIDENCE_SOURCES, SIGNATURE_PROFILES } from '../../schema/words.ts';
import type { InboxRow, IntegrationRow, SiteBindingRow } from '../../storage/rows.ts';
import { decodeSimulated } from '../simulation/simulated-delivery.ts';
import { decodeTestDelivery } from './test-delivery.ts';

/** One delivery as its vendor's decoder understood it, or why it did not. */
export type Decoded =
  | { readonly kind: 'EVENTS'; readonly drafts: readonly EventDraft[]; readonly sentAt: number | null }
  | { readonly kind: 'INVENTORY'; readonly inventory: InventoryDelivery }
  | { readonly kind: 'UNUSABLE'; readonly stage: DecodeStage; readonly reason: string }
  /** The decoder broke: it may work after a release, or never. */
  | { readonly kind: 'BROKEN'; readonly error: unknown };

/** They were stored by us; a record schema would copy them, name by name, for every delivery. */
const Headers = z.custom<Readonly<Record<string, string>>>(
  (value) =>
    typeof value === 'object' && value !== null && Object.values(value).every((each) => typeof each === 'string'),
);
const SECONDS = /^\d{1,12}$/;
const MAX_REASON = 300;
/** Events in one delivery: what a sender batches is hundreds; a million would stop everybody else. */
const MAX_EVENTS = 1_000;
/** Devices in one delivery: a longer inventory comes in parts. */
const MAX_DEVICES = 20_000;

/** The instant of sending, where the sender's profile tells it; it was inside the window when the delivery came in. */
function sentAtOf(headers: Readonly<Record<string, string>>): number | null {
  const text = headers['webhook-timestamp'] ?? headers['x-webhook-timestamp'];
  return text !== undefined && SECONDS.test(text) ? Number(text) * 1_000 : null;
}

/** Settings as their vendor parsed them, until they are others: a decoder keeps what it made of them by the object. */
const parsedSettings = new WeakMap<Vendor, Map<string, { readonly text: string; readonly settings: unknown }>>();
/** Integrations of one vendor in memory; forgetting one costs parsing it again. */
const MAX_SETTINGS = 1_000;

function settingsOf(vendor: Vendor, integration: IntegrationRow): unknown {
  const known = parsedSettings.get(vendor) ?? new Map<string, { text: string; settings: unknown }>();
  parsedSettings.set(vendor, known);
  const before = known.get(integration.id);
  if (before?.text === integration.settings) return before.settings;
  const settings = vendor.settings.parse(JSON.parse(integration.settings));
  if (known.size >= MAX_SETTINGS) known.clear();
  known.set(integration.id, { text: integration.settings, settings });
  return settings;
}

/** @throws ZodError when the stored settings are not what the vendor's schema says */
export function decodeContext(
  vendor: Vendor,
  integration: IntegrationRow,
  bindings: readonly SiteBindingRow[],
): DecodeContext {
  const [only] = bindings;
  return {
    settings: settingsOf(vendor, integration),
    onlySite:
      only !== undefined && bindings.length === 1
        ? { nativeOrgId: only.vendor_org_id, nativeSiteId: only.vendor_site_id }
        : null,
    profile: SIGNATURE_PROFILES.find((name) => name === integration.signature_profile) ?? null,
  };
}

/** Asks the vendor's decoder; whatever it throws is an answer here. */
export function decodeDelivery(
  vendor: Vendor,
  row: Pick<InboxRow, 'headers' | 'source' | 'body' | 'received_at'>,
  context: DecodeContext,
): Decoded {
  try {
    const headers = Headers.parse(JSON.parse(row.headers));
    const source = EVIDENCE_SOURCES.find((name) => name === row.source) ?? 'WEBHOOK';
    const message = { body: row.body, headers, source, receivedAt: new Date(row.received_at) };
    // Made up here, and so in our own format: no vendor would understand it.
    if (source === 'SANDBOX') return { kind: 'EVENTS', drafts: decodeSimulated(message), sentAt: null };
    const test = decodeTestDelivery(row.body);
    if (test !== null) return { kind: 'EVENTS', drafts: [test], sentAt: sentAtOf(headers) };
    const inventory = vendor.decodeInventory?.(message, context) ?? null;
    if (inventory !== null) {
      return inventory.devices.length <= MAX_DEVICES
        ? { kind: 'INVENTORY', inventory }
        : { kind: 'UNUSABLE', stage: 'SCHEMA', reason: `a delivery has at most ${MAX_DEVICES} devices` };
    }
    const drafts = vendor.decode(message, context);
    if (drafts.length > MAX_EVENTS) {
      return { kind: 'UNUSABLE', stage: 'SCHEMA', reason: `a delivery has at most ${MAX_EVENTS} events` };
    }
    return { kind: 'EVENTS', drafts, sentAt: sentAtOf(headers) };
  } catch (error) {
    return error instanceof DecodeError
      ? { kind: 'UNUSABLE', stage: error.stage, reason: error.message.slice(0, MAX_REASON) }
      : { kind: 'BROKEN', error };
  }
}
