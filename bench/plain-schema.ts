import {
  buildSchema,
  type GraphQLFieldResolver,
  type GraphQLSchema,
  isEnumType,
  isObjectType,
  isScalarType,
} from 'graphql';
import DataLoader from 'dataloader';
import type { LiveDevice } from '../adapter-kit/model.ts';
import type { VendorHost } from '../adapter-kit/vendor-host.ts';
import type { Principal } from '../schema/principal.ts';
import { scalars } from '../schema/scalars.ts';
import { DEVICE_STATES, DEVICE_TYPES } from '../schema/words.ts';
import { parsePageArgs } from '../storage/connection.ts';
import type { DirectoryStore } from '../storage/directory-store.ts';
import type { InventoryStore } from '../storage/inventory-store.ts';
import type { DeviceRow, OrgRow, SiteRow } from '../storage/rows.ts';
import { createRowLoader } from '../subgraphs/batch-loaders.ts';
import { requireScope } from '../subgraphs/require-scope.ts';
import { toWord } from '../subgraphs/row-words.ts';

// What the federated query asks for, as one schema without federation: the same stores, the same live reads, the same
// batching, the same checks of who may see what. The difference to the product is what the graph of graphs costs.

const SDL = `
  scalar DateTime
  enum DeviceType { ${DEVICE_TYPES.join(' ')} }
  enum DeviceState { ${DEVICE_STATES.join(' ')} }
  input DeviceFilter { orgId: ID }
  type Query { devices(first: Int = 50, after: String, filter: DeviceFilter): DeviceConnection! }
  type DeviceConnection { nodes: [Device!]! }
  type Device { id: ID! name: String! type: DeviceType! status: DeviceStatus! site: Site source: SourceDevice }
  type DeviceStatus { state: DeviceState! since: DateTime! }
  type Site { id: ID! name: String! org: Org! }
  type Org { id: ID! name: String! }
  interface SourceDevice { state: DeviceState! vendorState: String }
  type LiveDevice implements SourceDevice { state: DeviceState! vendorState: String }
`;

export interface PlainServices {
  readonly inventory: InventoryStore;
  readonly directory: DirectoryStore;
  readonly host: VendorHost;
}

export interface PlainContext extends PlainServices {
  readonly principal: Principal;
  readonly site: DataLoader<string, SiteRow | null>;
  readonly org: DataLoader<string, OrgRow | null>;
  readonly live: DataLoader<DeviceRow, LiveDevice | null, string>;
}

export function plainContext(services: PlainServices, principal: Principal): PlainContext {
  const { directory, host } = services;
  const { access } = principal;
  return {
    ...services,
    principal,
    site: createRowLoader((ids) => directory.sites(access, ids)),
    org: createRowLoader((ids) => directory.orgs(access, ids)),
    live: new DataLoader(
      async (rows) => {
        const byIntegration = Map.groupBy(rows, (row) => row.integration_id);
        const answers = new Map(
          await Promise.all(
            [...byIntegration].map(async ([id, group]) => {
              const nativeIds = group.map(({ native_id }) => native_id);
              return [id, await host.readDevices(id, nativeIds, principal)] as const;
            }),
          ),
        );
        return rows.map((row) => answers.get(row.integration_id)?.get(row.native_id) ?? null);
      },
      { cacheKeyFn: ({ id }) => id },
    ),
  };
}

interface ListArgs {
  readonly first: number;
  readonly after?: string | null;
  readonly filter?: { readonly orgId?: string | null } | null;
}

type Resolve<Source, Args = object> = (source: Source, args: Args, context: PlainContext) => unknown;

const resolvers: {
  readonly Query: { readonly devices: Resolve<unknown, ListArgs> };
  readonly Device: Readonly<Record<string, Resolve<DeviceRow>>>;
  readonly DeviceStatus: Readonly<Record<string, Resolve<DeviceRow>>>;
  readonly Site: Readonly<Record<string, Resolve<SiteRow>>>;
} = {
  Query: {
    async devices(_, { first, after, filter }, { inventory, principal }) {
      requireScope(principal, 'inventory:read');
      const page = await inventory.page(principal.access, {
        page: parsePageArgs(first, after),
        order: { field: 'NAME', direction: 'ASC' },
        filter: filter ?? null,
        search: null,
      });
      return { nodes: page.rows };
    },
  },
  Device: {
    type: ({ type }) => toWord(DEVICE_TYPES, type, 'OTHER'),
    status: (row) => row,
    site: (row, _, { site }) => (row.site_id === null ? null : site.load(row.site_id)),
    source: (row, _, { live }) => live.load(row),
  },
  DeviceStatus: {
    state: ({ state }) => toWord(DEVICE_STATES, state, 'UNKNOWN'),
    since: (row) => row.state_since,
  },
  Site: {
    org: (site, _, { org }) => org.load(site.org_id),
  },
};

export function createPlainSchema(): GraphQLSchema {
  const schema = buildSchema(SDL);
  for (const [typeName, fields] of Object.entries(resolvers)) {
    const type = schema.getType(typeName);
    if (!isObjectType(type)) continue;
    for (const [name, resolve] of Object.entries(fields)) {
      const field = type.getFields()[name];
      if (field !== undefined) field.resolve = resolve as GraphQLFieldResolver<unknown, PlainContext>;
    }
  }
  const dateTime = schema.getType('DateTime');
  if (isScalarType(dateTime)) dateTime.serialize = scalars.DateTime.serialize.bind(scalars.DateTime);
  const source = schema.getType('SourceDevice');
  if (source !== undefined && !isEnumType(source) && 'resolveType' in source) source.resolveType = () => 'LiveDevice';
  return schema;
}
