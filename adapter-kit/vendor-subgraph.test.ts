import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { graphql } from 'graphql';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Principal, Scope } from '../schema/principal.ts';
import { AdapterError, type AdapterErrorCode } from './adapter-error.ts';
import { defineVendor, type Vendor } from './define-vendor.ts';
import { defineEventTable } from './event-table.ts';
import type { LiveDevice } from './model.ts';
import type { VendorHost } from './vendor-host.ts';
import { createVendorSubgraph } from './vendor-subgraph.ts';

const folder = mkdtempSync(join(tmpdir(), 'acme-'));
afterAll(() => rmSync(folder, { recursive: true }));
const schemaPath = pathToFileURL(join(folder, 'schema.graphql'));
writeFileSync(
  schemaPath,
  `type AcmeDevice implements SourceDevice @key(fields: "integrationId nativeId") {
    integrationId: ID! nativeId: String! name: String! type: DeviceType! state: DeviceState! vendorState: String
    checkedAt: DateTime! device: Device color: String shout: String
  }
  type AcmePlatform implements Platform @key(fields: "integrationId") {
    integrationId: ID! reachable: Boolean! version: String checkedAt: DateTime!
    devices(first: Int = 50, after: String): SourceDeviceConnection! license: String
  }`,
);

function acme(over: Partial<Vendor> = {}): Vendor {
  return defineVendor<unknown>({
    slug: 'acme',
    graphqlName: 'Acme',
    name: 'Acme VMS',
    schemaPath,
    settings: z.unknown(),
    credentialKinds: ['apiKey'],
    signatureProfiles: [],
    ingest: {
      webhooks: false,
      listens: false,
      polls: true,
      expectedSilenceMs: 60_000,
      syncIntervalMs: 60_000,
      pollIntervalMs: 60_000,
    },
    createAdapter: () => {
      throw new Error('not asked here');
    },
    eventTable: defineEventTable(1, []),
    decode: () => [],
    resolvers: { AcmeDevice: { shout: (parent: { readonly name: string }) => parent.name.toUpperCase() } },
    simulator: () => Promise.reject(new Error('not asked here')),
    ...over,
  } as Omit<Vendor, 'enumValue'>);
}

function live(nativeId: string, over: Partial<LiveDevice> = {}): LiveDevice {
  return {
    nativeId,
    nativeSiteId: 's1',
    name: `Camera ${nativeId}`,
    type: 'CAMERA',
    state: 'ONLINE',
    vendorState: 'up',
    checkedAt: new Date('2026-02-04T14:32:00Z'),
    // An extra must not be able to pose as a field that means the same for all vendors.
    extras: { color: 'red', name: 'shadow', integrationId: 'int_other' },
    ...over,
  };
}

const failures: Record<string, AdapterErrorCode> = {
  int_down: 'UNREACHABLE',
  int_slow: 'TIMEOUT',
  int_key: 'UNAUTHENTICATED',
};

function host(log: string[] = [], over: Partial<VendorHost> = {}): VendorHost {
  const failIfToldTo = (integrationId: string): void => {
    const code = failures[integrationId];
    if (code !== undefined) throw new AdapterError(code, 'https://10.0.0.7/secret answered 500');
  };
  return {
    async readDevices(integrationId, nativeIds) {
      log.push(`${integrationId}:${nativeIds.length}`);
      failIfToldTo(integrationId);
      return new Map(nativeIds.filter((id) => !id.startsWith('gone')).map((id) => [id, live(id)]));
    },
    async readPlatform(integrationId) {
      log.push(`platform:${integrationId}`);
      failIfToldTo(integrationId);
      if (integrationId === 'int_foreign') return null;
      return { version: '2.4', checkedAt: new Date('2026-02-04T14:32:00Z'), extras: { license: 'gold' } };
    },
    async pageDevices(integrationId, first, after) {
      failIfToldTo(integrationId);
      const from = Number(after ?? 0);
      const all = Array.from({ length: 5 }, (_, index) => live(`d${index}`));
      const devices = all.slice(from, from + first);
      return { devices, next: from + first < all.length ? String(from + first) : null };
    },
    deviceId: (integrationId, nativeId) => `dev_${integrationId}_${nativeId}`,
    ...over,
  };
}

function run(
  source: string,
  representations: readonly object[],
  options: { host?: VendorHost; scopes?: readonly Scope[]; variables?: object } = {},
) {
  const subgraph = createVendorSubgraph(acme(), [acme()], options.host ?? host());
  const principal: Principal = {
    id: 'user',
    kind: 'USER',
    scopes: new Set(options.scopes ?? ['inventory:read']),
    access: { orgIds: 'all', siteIds: null },
    expiresAt: null,
  };
  const contextValue = subgraph.createContext({ principal, requestId: 'r', signal: new AbortController().signal });
  const declared = source.includes('$first') ? ', $first: Int, $after: String' : '';
  const text = `query($representations: [_Any!]!${declared}) { _entities(representations: $representations) { ${source} } }`;
  const variableValues = { representations, ...options.variables };
  return graphql({ schema: subgraph.schema, source: text, contextValue, variableValues });
}

const device = (integrationId: string, nativeId: string) => ({ __typename: 'AcmeDevice', integrationId, nativeId });
const platform = (integrationId: string) => ({ __typename: 'AcmePlatform', integrationId });
const PAGE = `... on AcmePlatform { devices(first: $first, after: $after) { nodes { nativeId __typename } pageInfo { hasNextPage hasPreviousPage endCursor } } }`;
const DEVICE = `... on AcmeDevice { name }`;

async function entities(source: string, representations: readonly object[], options: Parameters<typeof run>[2] = {}) {
  const result = await run(source, representations, options);
  return JSON.parse(JSON.stringify(result));
}

describe('vendor subgraph', () => {
  it('answers a device with shared fields, extras, computed fields and the link to our inventory', async () => {
    const source = `... on AcmeDevice { integrationId nativeId name type state vendorState checkedAt color shout device { id } }`;
    const { data, errors } = await entities(source, [device('int_1', 'd1')]);
    expect(errors).toBeUndefined();
    expect(data._entities[0]).toEqual({
      integrationId: 'int_1',
      nativeId: 'd1',
      name: 'Camera d1',
      type: 'CAMERA',
      state: 'ONLINE',
      vendorState: 'up',
      checkedAt: '2026-02-04T14:32:00.000Z',
      color: 'red',
      shout: 'CAMERA D1',
      device: { id: 'dev_int_1_d1' },
    });
  });

  it('asks each integration once however many devices are wanted, and a device once', async () => {
    const log: string[] = [];
    const wanted = [device('int_1', 'a'), device('int_2', 'a'), device('int_1', 'b'), device('int_1', 'a')];
    const { data } = await entities(DEVICE, wanted, { host: host(log) });
    expect(log.toSorted()).toEqual(['int_1:2', 'int_2:1']);
    expect(data._entities.map((entity: { name: string }) => entity.name)).toEqual([
      'Camera a',
      'Camera a',
      'Camera b',
      'Camera a',
    ]);
  });

  it('splits what is more than a host takes at once', async () => {
    const log: string[] = [];
    const wanted = Array.from({ length: 1_001 }, (_, index) => device('int_1', `d${index}`));
    await entities(DEVICE, wanted, { host: host(log) });
    expect(log).toEqual(['int_1:500', 'int_1:500', 'int_1:1']);
  });

  it.each([
    ['int_down', 'PLATFORM_UNREACHABLE', true, 'UNREACHABLE'],
    ['int_slow', 'PLATFORM_TIMEOUT', true, 'TIMEOUT'],
    ['int_key', 'PLATFORM_REFUSED', false, 'UNAUTHENTICATED'],
  ])('answers null and one error per device of %s, and the others', async (integrationId, code, retryable, reason) => {
    const { data, errors } = await entities(DEVICE, [device(integrationId, 'a'), device('int_1', 'b')]);
    expect(data._entities).toEqual([null, { name: 'Camera b' }]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ path: ['_entities', 0], extensions: { code, integrationId, retryable, reason } });
    expect(JSON.stringify(errors)).not.toContain('10.0.0.7');
  });

  it('shows nothing of a fault that is ours', async () => {
    const broken = host([], { readDevices: () => Promise.reject(new TypeError('secret')) });
    const { data, errors } = await entities(DEVICE, [device('int_1', 'a')], { host: broken });
    expect(data._entities).toEqual([null]);
    expect(errors[0].extensions).toMatchObject({ code: 'INTERNAL_SERVER_ERROR', integrationId: 'int_1' });
    expect(JSON.stringify(errors)).not.toContain('secret');
  });

  it('answers null without an error for a device that is gone or out of scope', async () => {
    const { data, errors } = await entities(DEVICE, [device('int_1', 'gone')]);
    expect([data._entities, errors]).toEqual([[null], undefined]);
  });

  it('answers a platform, null for one out of scope, null and an error for one that is down', async () => {
    const source = `... on AcmePlatform { reachable version license checkedAt integrationId }`;
    const { data, errors } = await entities(`${source}`, [
      platform('int_1'),
      platform('int_foreign'),
      platform('int_down'),
    ]);
    expect(data._entities[0]).toMatchObject({
      reachable: true,
      version: '2.4',
      license: 'gold',
      integrationId: 'int_1',
    });
    expect(data._entities.slice(1)).toEqual([null, null]);
    expect(errors).toEqual([expect.objectContaining({ path: ['_entities', 2] })]);
  });

  it('pages through the live list and ends', async () => {
    const seen: string[] = [];
    let after: string | null = null;
    const flags: boolean[][] = [];
    for (let page = 0; page < 3; page += 1) {
      const { data, errors } = await entities(PAGE, [platform('int_1')], { variables: { first: 2, after } });
      expect(errors).toBeUndefined();
      const { nodes, pageInfo } = data._entities[0].devices;
      seen.push(...nodes.map((node: { nativeId: string }) => node.nativeId));
      flags.push([pageInfo.hasNextPage, pageInfo.hasPreviousPage]);
      after = pageInfo.endCursor;
    }
    expect(seen).toEqual(['d0', 'd1', 'd2', 'd3', 'd4']);
    expect(flags).toEqual([
      [true, false],
      [true, true],
      [false, true],
    ]);
    const { data } = await entities(PAGE, [platform('int_1')], { variables: { first: 2, after } });
    expect(data._entities[0].devices).toEqual({
      nodes: [],
      pageInfo: { hasNextPage: false, hasPreviousPage: true, endCursor: null },
    });
  });

  it.each([
    [{ first: 501 }, 'PAGE_TOO_LARGE'],
    [{ first: 0 }, 'BAD_USER_INPUT'],
    [{ after: 'nonsense' }, 'BAD_CURSOR'],
    [{ after: `${Buffer.from('after:2').toString('base64url')}!` }, 'BAD_CURSOR'],
    [{ after: 'A'.repeat(3_000) }, 'BAD_CURSOR'],
  ])('refuses the page %j', async (variables, code) => {
    const { errors } = await entities(PAGE, [platform('int_1')], { variables });
    expect(errors[0].extensions.code).toBe(code);
  });

  it.each([device('int_1', 'a'), platform('int_1')])(
    'needs the scope inventory:read for %j',
    async (representation) => {
      const log: string[] = [];
      const { data, errors } = await entities(DEVICE, [representation], { host: host(log), scopes: ['events:read'] });
      expect(data._entities).toEqual([null]);
      expect(errors[0].extensions.code).toBe('FORBIDDEN');
      expect(log).toEqual([]);
    },
  );

  it.each([
    { AcmeDevice: { __resolveReference: () => null } },
    { SourceDevice: { name: () => 'x' } },
    { AcmePlatform: { devices: () => null } },
  ])('refuses resolvers that replace what is the same for all vendors', (resolvers) => {
    expect(() => createVendorSubgraph(acme({ resolvers }), [acme()], host())).toThrow(/must not replace/);
  });
});
