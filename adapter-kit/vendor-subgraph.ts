import { readFileSync } from 'node:fs';
import DataLoader from 'dataloader';
import { buildSubgraph, type VendorWords, vendorSubgraphSdl } from '../schema/build-subgraph.ts';
import { fault } from '../schema/errors.ts';
import { hasScope, type Principal } from '../schema/principal.ts';
import type { Subgraph } from '../schema/subgraph.ts';
import type { Vendor } from './define-vendor.ts';
import type { LiveDevice, LivePlatform } from './model.ts';
import { decodeCursor, encodeCursor, type PlatformPosition, START } from './platform-cursor.ts';
import { platformFault } from './platform-fault.ts';
import type { VendorHost } from './vendor-host.ts';

/** A host's bound on one live read; a larger batch becomes several that run beside each other. */
const MAX_BATCH = 500;
const MAX_PAGE = 500;

interface DeviceKey {
  readonly integrationId: string;
  readonly nativeId: string;
}

/** What a vendor's resolvers get as context. Loaders live for one request: one view of the world, one principal. */
export interface VendorContext {
  readonly principal: Principal;
  readonly devices: DataLoader<DeviceKey, LiveDevice | null, string>;
  readonly platforms: DataLoader<string, LivePlatform | null>;
}

/**
 * A vendor's federated subgraph, made from its declaration alone: entities by key, interface fields, extras, live paging.
 * A platform that fails makes its own fields null, each with an error that carries `integrationId`, `retryable` and a code.
 *
 * @param allVendors every vendor of the deployment: the shared `enum Vendor` must be equal in all subgraphs
 * @throws TypeError for resolvers that replace what is the same for all vendors; GraphQLError for SDL that is not valid
 */
export function createVendorSubgraph(
  vendor: Vendor,
  allVendors: readonly VendorWords[],
  host: VendorHost,
): Subgraph<VendorContext> {
  const sdl = vendorSubgraphSdl(readFileSync(vendor.schemaPath, 'utf8'), allVendors);
  const deviceType = `${vendor.graphqlName}Device`;
  const platformType = `${vendor.graphqlName}Platform`;

  // Extras come first: a vendor cannot shadow a field that is the same for all.
  const toDevice = (integrationId: string, live: LiveDevice) => ({
    ...live.extras,
    __typename: deviceType,
    integrationId,
    nativeId: live.nativeId,
    name: live.name,
    type: live.type,
    state: live.state,
    vendorState: live.vendorState,
    checkedAt: live.checkedAt,
    device: { __typename: 'Device', id: host.deviceId(integrationId, live.nativeId) },
  });

  const resolvers = {
    SourceDevice: { __resolveType: () => deviceType },
    Platform: { __resolveType: () => platformType },
    // Only inventory and directory resolve these; here they are a name with an id.
    Node: { __resolveType: () => 'Device' },
    [deviceType]: {
      __resolveReference: async (key: DeviceKey, context: VendorContext) => {
        requireRead(context);
        const live = await context.devices.load(key);
        return live === null ? null : toDevice(key.integrationId, live);
      },
    },
    [platformType]: {
      __resolveReference: async ({ integrationId }: { readonly integrationId: string }, context: VendorContext) => {
        requireRead(context);
        const live = await context.platforms.load(integrationId);
        if (live === null) return null;
        const { version, checkedAt, extras } = live;
        return { ...extras, __typename: platformType, integrationId, reachable: true, version, checkedAt };
      },
      devices: async (
        { integrationId }: { readonly integrationId: string },
        page: { readonly first?: number | null; readonly after?: string | null },
        context: VendorContext,
      ) => {
        requireRead(context);
        const first = checkFirst(page.first ?? 50);
        const position = typeof page.after === 'string' ? decodeCursor(page.after) : START;
        const found = await readPage(host, integrationId, first, position, context.principal);
        return {
          nodes: found.devices.map((live) => toDevice(integrationId, live)),
          pageInfo: {
            hasNextPage: found.next !== null,
            hasPreviousPage: position.at !== 'start',
            // A platform says where its next page starts and nothing else: paging goes forward only.
            startCursor: null,
            endCursor: found.devices.length === 0 && found.next === null ? null : encodeCursor(found.next),
          },
        };
      },
    },
  };

  return {
    name: vendor.slug,
    sdl,
    schema: buildSubgraph(sdl, withExtras(resolvers, vendor)),
    createContext: ({ principal }) => ({
      principal,
      devices: createDeviceLoader(host, principal),
      platforms: createPlatformLoader(host, principal),
    }),
  };
}

function requireRead({ principal }: VendorContext): void {
  if (!hasScope(principal, 'inventory:read'))
    throw fault('FORBIDDEN', 'This needs the scope inventory:read.', { requiredScope: 'inventory:read' });
}

async function readPage(
  host: VendorHost,
  integrationId: string,
  first: number,
  position: PlatformPosition,
  principal: Principal,
): ReturnType<VendorHost['pageDevices']> {
  if (position.at === 'end') return { devices: [], next: null };
  try {
    return await host.pageDevices(integrationId, first, position.next, principal);
  } catch (error) {
    throw platformFault(error, integrationId);
  }
}

function checkFirst(first: number): number {
  if (first < 1) throw fault('BAD_USER_INPUT', '`first` must be at least 1.');
  if (first > MAX_PAGE) throw fault('PAGE_TOO_LARGE', `\`first\` must be at most ${MAX_PAGE}.`, { max: MAX_PAGE });
  return first;
}

type Resolvers = Parameters<typeof buildSubgraph>[1];
type FieldResolvers = Record<string, (...args: unknown[]) => unknown>;

/** Types whose meaning is the same for all vendors. */
const SHARED_TYPES: ReadonlySet<string> = new Set(['SourceDevice', 'Platform', 'Node', 'Device']);

/** Adds the vendor's own field resolvers, which may not replace ours. */
function withExtras(ours: Resolvers & Record<string, object>, vendor: Vendor): Resolvers {
  const merged: Resolvers = { ...ours };
  for (const [type, fields] of Object.entries(vendor.resolvers ?? {})) {
    const core = ours[type] ?? {};
    const taken = Object.keys(fields).find((field) => Object.hasOwn(core, field));
    if (taken !== undefined || SHARED_TYPES.has(type))
      throw new TypeError(`resolvers of "${vendor.slug}" must not replace ${type}${taken ? `.${taken}` : ''}`);
    const own: FieldResolvers = {};
    for (const [field, resolve] of Object.entries(fields)) {
      // The executor passes what the vendor's SDL says; the declaration's type knows no more than that it is a function.
      own[field] = (...args) => Reflect.apply(resolve, undefined, args);
    }
    merged[type] = { ...core, ...own };
  }
  return merged;
}

/** One host call per integration and chunk, all beside each other; one failing integration fails its own keys only. */
function createDeviceLoader(host: VendorHost, principal: Principal): VendorContext['devices'] {
  return new DataLoader<DeviceKey, LiveDevice | null, string>(
    async (keys) => {
      const found = new Map<string, Promise<ReadonlyMap<string, LiveDevice>>[]>();
      for (const [integrationId, group] of Map.groupBy(keys, (key) => key.integrationId)) {
        const chunks: Promise<ReadonlyMap<string, LiveDevice>>[] = [];
        for (let from = 0; from < group.length; from += MAX_BATCH) {
          const nativeIds = group.slice(from, from + MAX_BATCH).map(({ nativeId }) => nativeId);
          chunks.push(host.readDevices(integrationId, nativeIds, principal));
        }
        found.set(integrationId, chunks);
      }
      const answers = new Map<string, ReadonlyMap<string, LiveDevice> | Error>();
      await Promise.all(
        [...found].map(async ([integrationId, chunks]) => {
          try {
            answers.set(integrationId, new Map((await Promise.all(chunks)).flatMap((chunk) => [...chunk])));
          } catch (error) {
            answers.set(integrationId, platformFault(error, integrationId));
          }
        }),
      );
      return keys.map(({ integrationId, nativeId }) => {
        const answer = answers.get(integrationId);
        return answer instanceof Error ? answer : (answer?.get(nativeId) ?? null);
      });
    },
    { cacheKeyFn: ({ integrationId, nativeId }) => JSON.stringify([integrationId, nativeId]) },
  );
}

function createPlatformLoader(host: VendorHost, principal: Principal): VendorContext['platforms'] {
  return new DataLoader<string, LivePlatform | null>((integrationIds) =>
    Promise.all(
      integrationIds.map((integrationId) =>
        host.readPlatform(integrationId, principal).catch((error: unknown) => platformFault(error, integrationId)),
      ),
    ),
  );
}
