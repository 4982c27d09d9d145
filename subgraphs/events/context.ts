import type { DeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import type { MediaLinks } from '../../pipeline/media/media-links.ts';
import type { Simulation } from '../../pipeline/simulation/simulate.ts';
import type { EventStream } from '../../pipeline/stream/event-stream.ts';
import type { IntegrationChanges } from '../../pipeline/stream/integration-changes.ts';
import type { SiteHealthChanges } from '../../pipeline/stream/site-health.ts';
import type { Principal } from '../../schema/principal.ts';
import type { SubgraphRequest } from '../../schema/subgraph.ts';
import type { CursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import type { EventCursors } from '../../storage/event-cursor.ts';
import type { InventoryScope } from '../../storage/inventory-store-scope.ts';
import { requireScope } from '../require-scope.ts';
import type { Catalogue } from './catalogue.ts';
import { createEventLoaders, type EventLoaders } from './loaders.ts';

/** What the resolvers stand on; the same for all requests. */
export interface EventServices {
  readonly db: Database;
  readonly codec: CursorCodec;
  readonly cursors: EventCursors;
  readonly stream: EventStream;
  readonly integrationChanges: IntegrationChanges;
  readonly siteHealth: SiteHealthChanges;
  readonly deadLetters: DeadLetters;
  readonly inventory: InventoryScope;
  readonly catalogue: Catalogue;
  readonly simulation: Simulation;
  /** Makes links that open media once. @throws GraphQLError where there is no front door that takes them */
  readonly media: MediaLinks['make'];
}

/** One per request: its loaders are that request's view of the log and die with the principal's permissions. */
export interface Context extends EventServices {
  readonly principal: Principal;
  readonly signal: AbortSignal;
  readonly tellsPlaces: boolean;
  /** @throws GraphQLError FORBIDDEN without `events:read` */
  read(): EventLoaders;
  /** The log's head, before anything that is read after this resolves. */
  readonly head: () => Promise<number>;
}

export function createEventsContext(
  services: EventServices,
  { principal, signal, tellsPlaces = false }: SubgraphRequest,
): Context {
  let loaders: EventLoaders | undefined;
  let head: Promise<number> | undefined;
  return {
    ...services,
    principal,
    signal,
    tellsPlaces,
    head: () => (head ??= services.db.head()),
    read() {
      requireScope(principal, 'events:read');
      return (loaders ??= createEventLoaders(services, principal.access));
    },
  };
}
