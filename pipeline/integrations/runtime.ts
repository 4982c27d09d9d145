import type { Logger } from 'pino';
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import type { Credentials, Vendor } from '../../adapter-kit/define-vendor.ts';
import type { HttpClientFactory } from '../../adapter-kit/http/http-client.ts';
import type { Database } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { Vault } from '../../storage/vault.ts';
import { readCredentials } from './credentials.ts';
import type { Quotas } from './quota.ts';

/** An integration with its adapter, for as long as one piece of work lasts. */
export interface OpenIntegration {
  readonly integration: IntegrationRow;
  readonly vendor: Vendor;
  readonly adapter: Adapter;
  /** As the vendor's schema parsed them. */
  readonly settings: unknown;
}

export interface AdapterOptionsDraft {
  readonly integrationId: string;
  readonly vendor: Vendor;
  readonly baseUrl: URL | null;
  readonly credentials: Credentials | null;
  readonly settings: unknown;
}

export interface IntegrationRuntime {
  readonly vendors: ReadonlyMap<string, Vendor>;
  /**
   * Works with an integration's adapter. Adapters are kept between calls, one per integration and version: a change of
   * the integration opens a new one, and the old one is closed as soon as nobody works with it.
   *
   * @throws AdapterError MISCONFIGURED when its vendor is not deployed or its settings or secrets cannot be read,
   *   NOT_FOUND when there is no such integration
   */
  use<T>(integrationId: string, work: (open: OpenIntegration) => Promise<T>): Promise<T>;
  /** Works with an adapter that is not stored, and closes it. */
  tryOut<T>(draft: AdapterOptionsDraft, work: (adapter: Adapter) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface IntegrationRuntimeDeps {
  readonly db: Database;
  readonly vault: Vault;
  readonly vendors: readonly Vendor[];
  readonly http: HttpClientFactory;
  readonly logger: Logger;
  readonly now: () => number;
  /** Told what platforms state about their rate limits. */
  readonly quotas?: Pick<Quotas, 'note'>;
}

interface Kept {
  readonly version: number;
  readonly adapter: Adapter;
  readonly vendor: Vendor;
  readonly settings: unknown;
  users: number;
  isStale: boolean;
}

/** Adapters kept open without being used; the least recently used ones are closed first. Each may hold sockets. */
const MAX_IDLE_ADAPTERS = 1_000;

/** Tries to get hold of an adapter while the integration is being changed. */
const MAX_ENTER_ATTEMPTS = 3;

const StoredSettings = z.record(z.string(), z.unknown());

/** The settings of a row through its vendor's schema. @throws AdapterError MISCONFIGURED */
export function parseSettings(vendor: Vendor, text: string): unknown {
  const stored = StoredSettings.safeParse(JSON.parse(text));
  const parsed = stored.success ? vendor.settings.safeParse(stored.data) : stored;
  if (parsed.success) return parsed.data;
  throw new AdapterError('MISCONFIGURED', `The settings are not what ${vendor.name} needs`);
}

export function createIntegrationRuntime(deps: IntegrationRuntimeDeps): IntegrationRuntime {
  const { db, vault, logger } = deps;
  const vendors = new Map(deps.vendors.map((vendor) => [vendor.slug, vendor]));
  // In order of use: the first is the one that was not used for the longest time.
  const kept = new Map<string, Kept>();
  const opening = new Map<string, Promise<Kept>>();

  function create({ vendor, ...draft }: AdapterOptionsDraft): Adapter {
    return vendor.createAdapter({
      ...draft,
      http: (options) =>
        deps.http({
          ...options,
          onAnswer(headers) {
            deps.quotas?.note(draft.integrationId, headers);
            options.onAnswer?.(headers);
          },
        }),
      logger: logger.child({ integrationId: draft.integrationId, vendor: vendor.slug }),
      now: () => new Date(deps.now()),
    });
  }

  function retire(entry: Kept): void {
    entry.isStale = true;
    if (entry.users > 0) return;
    entry.adapter.close().catch((error: unknown) => {
      logger.warn({ err: error, vendor: entry.vendor.slug }, 'An adapter did not close');
    });
  }

  function trim(): void {
    for (const [id, entry] of kept) {
      if (kept.size <= MAX_IDLE_ADAPTERS) return;
      kept.delete(id);
      retire(entry);
    }
  }

  async function open(row: IntegrationRow): Promise<Kept> {
    const vendor = vendors.get(row.vendor);
    if (vendor === undefined) throw new AdapterError('MISCONFIGURED', 'Its vendor is not part of this deployment');
    const settings = parseSettings(vendor, row.settings);
    const adapter = create({
      integrationId: row.id,
      vendor,
      baseUrl: row.base_url === null ? null : new URL(row.base_url),
      credentials: await readCredentials(db.read, vault, row.id),
      settings,
    });
    const entry: Kept = { version: row.version, adapter, vendor, settings, users: 0, isStale: false };
    const before = kept.get(row.id);
    kept.delete(row.id);
    kept.set(row.id, entry);
    if (before !== undefined) retire(before);
    trim();
    return entry;
  }

  async function obtain(row: IntegrationRow): Promise<Kept> {
    const entry = kept.get(row.id);
    if (entry?.version === row.version) {
      kept.delete(row.id);
      kept.set(row.id, entry);
      return entry;
    }
    // Concurrent readers of a new version share one adapter.
    const key = `${row.id} ${row.version}`;
    const pending = opening.get(key) ?? open(row).finally(() => opening.delete(key));
    opening.set(key, pending);
    return pending;
  }

  async function enter(integrationId: string): Promise<{ readonly row: IntegrationRow; readonly entry: Kept }> {
    for (let attempt = 0; attempt < MAX_ENTER_ATTEMPTS; attempt += 1) {
      const row = await db.read
        .selectFrom('integrations')
        .selectAll()
        .where('id', '=', integrationId)
        .executeTakeFirst();
      if (row === undefined) throw new AdapterError('NOT_FOUND', 'There is no such integration');
      const entry = await obtain(row);
      // It was replaced while we waited for it.
      if (entry.isStale) continue;
      entry.users += 1;
      return { row, entry };
    }
    throw new AdapterError('MISCONFIGURED', 'The integration changes too often to be used');
  }

  return {
    vendors,
    async use(integrationId, work) {
      const { row, entry } = await enter(integrationId);
      try {
        return await work({
          integration: row,
          vendor: entry.vendor,
          adapter: entry.adapter,
          settings: entry.settings,
        });
      } finally {
        entry.users -= 1;
        if (entry.isStale) retire(entry);
      }
    },
    async tryOut(draft, work) {
      const adapter = create(draft);
      try {
        return await work(adapter);
      } finally {
        await adapter.close();
      }
    },
    async close() {
      await Promise.allSettled(opening.values());
      const entries = [...kept.values()];
      kept.clear();
      await Promise.allSettled(entries.map(({ adapter }) => adapter.close()));
    },
  };
}
