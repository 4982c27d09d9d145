import type { IngestTraits } from '../../adapter-kit/define-vendor.ts';
import type { SyncService } from '../../pipeline/sync/service.ts';
import type { Principal } from '../../schema/principal.ts';
import type { SubgraphRequest } from '../../schema/subgraph.ts';
import type { CursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import type { EventCursors } from '../../storage/event-cursor.ts';
import type { InventoryStore } from '../../storage/inventory-store.ts';
import { requireScope } from '../require-scope.ts';
import { createInventoryLoaders, type InventoryLoaders } from './loaders.ts';

export interface StubVendor {
  readonly slug: string;
  readonly graphqlName: string;
  /** `pushOnly`: there is nobody to ask live. */
  readonly ingest?: Partial<Pick<IngestTraits, 'pushOnly' | 'syncIntervalMs'>>;
}

/** What the inventory's resolvers stand on; the same for all requests. */
export interface InventoryServices {
  readonly db: Database;
  readonly cursors: CursorCodec;
  /** Of the event stream. */
  readonly places: EventCursors;
  readonly store: InventoryStore;
  readonly sync: SyncService;
  readonly vendors: readonly StubVendor[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One per request: its loaders are that request's view of the inventory and die with the principal's permissions. */
export interface Context extends InventoryServices {
  readonly principal: Principal;
  /** @throws GraphQLError FORBIDDEN without `inventory:read` */
  read(): InventoryLoaders;
  /** The log's head, before anything that is read after this resolves. */
  readonly head: () => Promise<number>;
}

export function createInventoryContext(services: InventoryServices, { principal }: SubgraphRequest): Context {
  let loaders: InventoryLoaders | undefined;
  let head: Promise<number> | undefined;
  return {
    ...services,
    principal,
    head: () => (head ??= services.db.head()),
    read() {
      requireScope(principal, 'inventory:read');
      return (loaders ??= createInventoryLoaders(services, principal.access));
    },
  };
}
