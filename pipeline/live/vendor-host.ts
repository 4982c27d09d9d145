import type { Logger } from 'pino';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { LIVE_DEADLINE_MS } from '../../adapter-kit/common-settings.ts';
import type { DeviceRef, LiveDevice, LivePlatform } from '../../adapter-kit/model.ts';
import type { VendorHost } from '../../adapter-kit/vendor-host.ts';
import { type AccessScope, hasScope, type Principal } from '../../schema/principal.ts';
import { visibleAtSite } from '../../storage/access-conditions.ts';
import type { Database } from '../../storage/database.ts';
import { deviceId } from '../../storage/ids.ts';
import { findIntegration } from '../integrations/access.ts';
import type { Clock } from '../integrations/clock.ts';
import { readOwnSettings } from '../integrations/own-settings.ts';
import type { IntegrationRuntime, OpenIntegration } from '../integrations/runtime.ts';
import { applyTransition } from '../integrations/state.ts';
import { asAdapterError } from '../integrations/user-errors.ts';
import { type EventWriter, ringForEvents } from '../process/event-writer.ts';
import { createDeviceBatcher, type DeviceBatcher, MAX_BATCH } from './device-batcher.ts';
import { createPlatformGate, type PlatformGate } from './platform-gate.ts';

export interface VendorHostDeps {
  readonly db: Database;
  readonly runtime: IntegrationRuntime;
  readonly events: EventWriter;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What live reads of one integration share. */
interface Lane {
  readonly gate: PlatformGate;
  readonly batcher: DeviceBatcher;
  platform: Promise<LivePlatform> | null;
}

/** Lanes kept before idle ones are dropped: each is a few small objects. */
const MAX_LANES = 1_000;

/**
 * Live reads for vendor subgraphs. The store says who may see what; what is then asked of a platform is shared among all
 * who ask at that moment. Nothing is kept beyond the call: live means now.
 */
export function createVendorHost(deps: VendorHostDeps): VendorHost {
  const { db, runtime, clock, logger } = deps;
  const lanes = new Map<string, Lane>();

  function lane(integrationId: string): Lane {
    const known = lanes.get(integrationId);
    if (known !== undefined) return known;
    for (const [id, { gate, batcher, platform }] of lanes) {
      if (lanes.size < MAX_LANES) break;
      if (gate.isIdle() && batcher.isIdle() && platform === null) lanes.delete(id);
    }
    const gate = createPlatformGate(clock.now);
    const created: Lane = {
      gate,
      batcher: createDeviceBatcher((refs) =>
        ask(integrationId, gate, ({ adapter }, signal) => adapter.readDevices(refs, signal)),
      ),
      platform: null,
    };
    lanes.set(integrationId, created);
    return created;
  }

  /** One call to a platform: through its gate, within its deadline, failing as an AdapterError. */
  async function ask<T>(
    integrationId: string,
    gate: PlatformGate,
    call: (open: OpenIntegration, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      // The bound for all: also for those who wait for their turn.
      return await withDeadline(clock, LIVE_DEADLINE_MS, (waiting) =>
        gate.pass(() => {
          waiting.throwIfAborted();
          return runtime.use(integrationId, async (open) => {
            refuseUnusable(open);
            const { liveDeadlineMs } = readOwnSettings(open.settings);
            return withDeadline(clock, liveDeadlineMs, (signal) => call(open, signal)).catch((error: unknown) => {
              throw asAdapterError(error);
            });
          });
        }),
      );
    } catch (error) {
      if (error instanceof AdapterError && error.code === 'UNAUTHENTICATED') await noteRefusal(integrationId, error);
      throw error;
    }
  }

  async function noteRefusal(integrationId: string, error: AdapterError): Promise<void> {
    const now = clock.now();
    const row = await db.read
      .selectFrom('integrations')
      .select('state')
      .where('id', '=', integrationId)
      .executeTakeFirst();
    if (row === undefined || row.state === 'REAUTH_REQUIRED') return;
    const moved = await db.write((tx) => applyTransition(tx, deps, integrationId, { error }, 'POLL', now));
    if (moved === null) return;
    ringForEvents(db, moved.after);
    logger.warn({ integrationId, state: moved.after.state, code: error.code }, 'Integration is not well');
  }

  async function visibleRefs(
    integrationId: string,
    nativeIds: readonly string[],
    access: AccessScope,
  ): Promise<readonly DeviceRef[]> {
    const refs: DeviceRef[] = [];
    const wanted = [...new Set(nativeIds)].filter((id) => !id.includes('\0'));
    for (let from = 0; from < wanted.length; from += MAX_BATCH) {
      const rows = await db.read
        .selectFrom('devices')
        .select(['native_id', 'vendor_org_id', 'vendor_site_id'])
        .where('integration_id', '=', integrationId)
        .where('native_id', 'in', wanted.slice(from, from + MAX_BATCH))
        .where(visibleAtSite(access, 'devices'))
        .execute();
      for (const row of rows) {
        refs.push({ nativeId: row.native_id, nativeOrgId: row.vendor_org_id, nativeSiteId: row.vendor_site_id });
      }
    }
    return refs;
  }

  return {
    deviceId,

    async readDevices(integrationId, nativeIds, principal) {
      if (!hasScope(principal, 'inventory:read')) return new Map();
      const refs = await visibleRefs(integrationId, nativeIds, principal.access);
      if (refs.length === 0) return new Map();
      const answers = lane(integrationId).batcher.read(refs);
      const found = new Map<string, LiveDevice>();
      for (const [nativeId, answer] of answers) {
        const device = await answer;
        if (device !== null) found.set(nativeId, device);
      }
      return found;
    },

    async readPlatform(integrationId, principal) {
      if (!(await mayRead(db, integrationId, principal))) return null;
      const shared = lane(integrationId);
      shared.platform ??= ask(integrationId, shared.gate, ({ adapter }, signal) =>
        adapter.readPlatform(signal),
      ).finally(() => {
        shared.platform = null;
      });
      return shared.platform;
    },

    async pageDevices(integrationId, first, after, principal) {
      if (!(await mayRead(db, integrationId, principal))) return { devices: [], next: null };
      const { siteIds } = principal.access;
      const visible = siteIds === null ? null : await visibleVendorSites(db, integrationId, siteIds);
      const page = await ask(integrationId, lane(integrationId).gate, ({ adapter }, signal) =>
        adapter.pageDevices(first, after, signal),
      );
      if (visible === null) return page;
      return { devices: page.devices.filter(({ nativeSiteId }) => visible.has(nativeSiteId)), next: page.next };
    },
  };
}

/** Why the platform is not even asked. */
function refuseUnusable({ integration }: OpenIntegration): void {
  if (integration.enabled !== 1) throw new AdapterError('MISCONFIGURED', 'The integration is switched off');
  if (integration.state === 'REAUTH_REQUIRED') {
    throw new AdapterError('UNAUTHENTICATED', 'The platform refused our credentials; it is asked again with new ones');
  }
}

async function mayRead(db: Database, integrationId: string, principal: Principal): Promise<boolean> {
  return hasScope(principal, 'inventory:read') && (await findIntegration(db, principal, integrationId)) !== null;
}

/**
 * The vendor's sites whose devices a site-limited principal may see. A live device names its site and not its account:
 * a site id that stands for two sites, one of them out of scope, shows nothing.
 */
async function visibleVendorSites(
  db: Database,
  integrationId: string,
  siteIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const bindings = await db.read
    .selectFrom('site_bindings')
    .select(['vendor_site_id', 'site_id'])
    .where('integration_id', '=', integrationId)
    .execute();
  const hidden = new Set(bindings.filter((row) => !siteIds.includes(row.site_id)).map((row) => row.vendor_site_id));
  return new Set(bindings.map((row) => row.vendor_site_id).filter((id) => !hidden.has(id)));
}

/** Ends with TIMEOUT at the deadline even if the call ignores its signal. */
async function withDeadline<T>(clock: Clock, ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = new AdapterError('TIMEOUT', `The platform did not answer within ${ms} ms`);
  const controller = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(ms, () => {
    reject(timeout);
    controller.abort(timeout);
  });
  try {
    return await Promise.race([call(controller.signal), late]);
  } finally {
    cancel();
  }
}
