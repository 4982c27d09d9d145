import { readFileSync } from 'node:fs';
import type { VendorQuota } from '../../pipeline/integrations/quota.ts';
import type { IntegrationService } from '../../pipeline/integrations/service.ts';
import { createMaintenance, type Maintenance } from '../../pipeline/status/maintenance.ts';
import { createStatusPolicies } from '../../pipeline/status/policy-service.ts';
import { buildSubgraph, subgraphSdl, type VendorWords, vendorStubs } from '../../schema/build-subgraph.ts';
import type { Subgraph } from '../../schema/subgraph.ts';
import type { CursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { createDirectoryStore } from '../../storage/directory-store.ts';
import { type Context, createDirectoryContext, type DirectoryServices, type DirectoryVendor } from './context.ts';
import { resolvers } from './resolvers.ts';

export interface DirectoryOptions {
  readonly db: Database;
  readonly cursors: CursorCodec;
  readonly integrations: IntegrationService;
  /** Of this store by default; give the one whose job the status keeper runs. */
  readonly maintenance?: Maintenance;
  /** What is left of a platform's rate limit, as it stated it; by default nobody states one. */
  readonly quotaOf?: (integrationId: string) => VendorQuota | null;
  /** Where platforms reach us, for example `https://graph.example.com`. */
  readonly publicUrl: URL;
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly now?: () => number;
  /** This is a sandbox: orgs that are created say so. Default false. */
  readonly isSandbox?: boolean;
}

/** Who owns what, and how we reach it. */
export function createDirectorySubgraph(
  options: DirectoryOptions,
  vendors: readonly (VendorWords & DirectoryVendor)[],
): Subgraph<Context> {
  const { db, cursors, integrations, publicUrl, now = Date.now, isSandbox = false } = options;
  const own = readFileSync(new URL('./schema.graphql', import.meta.url), 'utf8');
  const sdl = subgraphSdl(own + vendorStubs('Platform', vendors), vendors);
  const services: DirectoryServices = {
    store: createDirectoryStore({ db, cursors, now, isSandbox }),
    integrations,
    maintenance: options.maintenance ?? createMaintenance({ db, now }),
    policies: createStatusPolicies({
      db,
      now,
      quietVendors: vendors.flatMap(({ slug, ingest }) => (ingest?.staleAfterMs === undefined ? [] : [slug])),
    }),
    vendors,
    quotaOf: options.quotaOf ?? (() => null),
    publicUrl,
    now,
  };
  return {
    name: 'directory',
    sdl,
    schema: buildSubgraph(sdl, resolvers),
    createContext: (request) => createDirectoryContext(services, request),
  };
}
