import { readFileSync } from 'node:fs';
import type { SyncService } from '../../pipeline/sync/service.ts';
import { buildSubgraph, subgraphSdl, type VendorWords, vendorStubs } from '../../schema/build-subgraph.ts';
import type { Subgraph } from '../../schema/subgraph.ts';
import type { CursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { createEventCursors } from '../../storage/event-cursor.ts';
import { createInventoryStore } from '../../storage/inventory-store.ts';
import type { InventoryVendor } from '../../storage/inventory-store-scope.ts';
import { type Context, createInventoryContext, type InventoryServices, type StubVendor } from './context.ts';
import { resolvers } from './resolvers.ts';

export interface InventoryOptions {
  readonly db: Database;
  readonly cursors: CursorCodec;
  readonly sync: SyncService;
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly now?: () => number;
}

/** What there is, and how it is. */
export function createInventorySubgraph(
  options: InventoryOptions,
  vendors: readonly (VendorWords & InventoryVendor & StubVendor)[],
): Subgraph<Context> {
  const { db, cursors, sync, now = Date.now } = options;
  const own = readFileSync(new URL('./schema.graphql', import.meta.url), 'utf8');
  const sdl = subgraphSdl(own + vendorStubs('Device', vendors), vendors);
  const services: InventoryServices = {
    db,
    cursors,
    places: createEventCursors(cursors, db.epoch),
    store: createInventoryStore({ db, cursors, vendors, now }),
    sync,
    vendors,
    now,
  };
  return {
    name: 'inventory',
    sdl,
    schema: buildSubgraph(sdl, resolvers),
    createContext: (request) => createInventoryContext(services, request),
  };
}
