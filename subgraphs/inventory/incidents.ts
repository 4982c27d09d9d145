import type DataLoader from 'dataloader';
import type { AccessScope } from '../../schema/principal.ts';
import type { PageArgs } from '../../storage/connection.ts';
import type { IncidentParent, IncidentRow, IncidentStore } from '../../storage/incident-store.ts';
import { createArgsLoader, createRowLoader } from '../batch-loaders.ts';
import type { Entry, Listing } from '../listing.ts';
import type { ListParent } from './model.ts';

export type IncidentListing = Listing<IncidentRow>;
export type IncidentEntry = Entry<IncidentRow>;

/** What one principal sees of incidents, read in batches. */
export interface IncidentLoaders {
  readonly incident: DataLoader<string, IncidentRow | null>;
  /** @param isOpen null: open and closed. @throws GraphQLError BAD_CURSOR */
  incidentsOf(parent: IncidentParent, id: string, isOpen: boolean | null, page: PageArgs): Promise<IncidentListing>;
}

interface Which {
  readonly parent: IncidentParent;
  readonly isOpen: boolean | null;
}

export function createIncidentLoaders(store: IncidentStore, access: AccessScope): IncidentLoaders {
  const pages = createArgsLoader((ids, { parent, isOpen, page }: Which & { readonly page: PageArgs }) =>
    store.pages(access, parent, ids, isOpen, page),
  );
  const counts = createArgsLoader(async (ids, { parent, isOpen }: Which) => {
    const found = await store.counts(access, parent, ids, isOpen);
    return new Map(ids.map((id) => [id, found.get(id) ?? 0]));
  });
  return {
    incident: createRowLoader((ids) => store.byId(access, ids)),
    incidentsOf: async (parent, id, isOpen, page) => ({
      page: await pages.load(id, { parent, isOpen, page }),
      total: () => counts.load(id, { parent, isOpen }),
    }),
  };
}

/** Where the devices of an incident are found: a platform that is away stands for all of its own. */
export function devicesOfIncident({ id, root_kind: kind, root_id: rootId }: IncidentRow): ListParent {
  return kind === 'INTEGRATION' ? { column: 'integration_id', id: rootId } : { column: 'incident_id', id };
}
