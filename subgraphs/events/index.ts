import { readFileSync } from 'node:fs';
import type { DeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import type { MediaLinks } from '../../pipeline/media/media-links.ts';
import { NO_SIMULATION, type Simulation } from '../../pipeline/simulation/simulate.ts';
import { createEventStream } from '../../pipeline/stream/event-stream.ts';
import { createIntegrationChanges } from '../../pipeline/stream/integration-changes.ts';
import type { LogTail } from '../../pipeline/stream/log-tail.ts';
import type { Timing } from '../../pipeline/stream/pausable.ts';
import { createSiteHealthChanges } from '../../pipeline/stream/site-health.ts';
import { buildSubgraph, subgraphSdl, type VendorWords } from '../../schema/build-subgraph.ts';
import { fault } from '../../schema/errors.ts';
import type { Subgraph } from '../../schema/subgraph.ts';
import type { CursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { createEventCursors } from '../../storage/event-cursor.ts';
import { createInventoryScope, type InventoryVendor } from '../../storage/inventory-store-scope.ts';
import { createCatalogue, type MappedVendor } from './catalogue.ts';
import { type Context, createEventsContext, type EventServices } from './context.ts';
import { resolvers } from './resolvers.ts';

export interface EventsOptions {
  readonly db: Database;
  readonly cursors: CursorCodec;
  /** One per process. */
  readonly tail: LogTail;
  readonly deadLetters: DeadLetters;
  /** Where events may be made up; absent: nowhere in this process. */
  readonly simulation?: Simulation;
  /** Links to media; absent: none are made here. */
  readonly media?: Pick<MediaLinks, 'make'>;
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly now?: () => number;
  /** For heartbeats and throttling; the system's by default. */
  readonly timing?: Timing;
}

/** What happened, and what happens. */
export function createEventsSubgraph(
  options: EventsOptions,
  vendors: readonly (VendorWords & InventoryVendor & MappedVendor)[],
): Subgraph<Context> {
  const { db, cursors: codec, tail, deadLetters, now = Date.now, simulation = NO_SIMULATION } = options;
  const timing = options.timing === undefined ? {} : { timing: options.timing };
  const sdl = subgraphSdl(readFileSync(new URL('./schema.graphql', import.meta.url), 'utf8'), vendors);
  const cursors = createEventCursors(codec, db.epoch);
  const services: EventServices = {
    db,
    codec,
    cursors,
    stream: createEventStream({ db, tail, cursors, now, ...timing }),
    integrationChanges: createIntegrationChanges({ db, ...timing }),
    siteHealth: createSiteHealthChanges({ db, now, ...timing }),
    deadLetters,
    inventory: createInventoryScope(db, vendors, now),
    catalogue: createCatalogue(vendors),
    simulation,
    media(...request) {
      if (options.media === undefined) throw fault('INTERNAL_SERVER_ERROR', 'No links to media are made here.');
      return options.media.make(...request);
    },
  };
  return {
    name: 'events',
    sdl,
    schema: buildSubgraph(sdl, resolvers),
    createContext: (request) => createEventsContext(services, request),
  };
}
