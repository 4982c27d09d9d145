import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { DEFAULT_LIMITS, type Limits } from '../../config.ts';
import { createAuthenticator } from '../../gateway/auth/authenticator.ts';
import { createTokenIssuer } from '../../gateway/auth/issuer.ts';
import { createGateway, type Gateway } from '../../gateway/create-gateway.ts';
import { createFederationEngine, type FederationEngine } from '../../gateway/federation/engine.ts';
import { compose } from '../../gateway/federation/test-support/supergraph.ts';
import { type SubgraphFetch, type SubgraphTransport, TransportError } from '../../gateway/federation/transport.ts';
import { createLocalTransport } from '../../gateway/federation/transport-local.ts';
import { createMetrics } from '../../gateway/metrics.ts';
import { createDeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { createLogTail } from '../../pipeline/stream/log-tail.ts';
import { acme, NOON, quiet, seed } from '../../pipeline/testing.ts';
import type { AccessScope } from '../../schema/principal.ts';
import type { Subgraph } from '../../schema/subgraph.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import { createEventCursors } from '../../storage/event-cursor.ts';
import { insertEvents } from '../../storage/event-log.ts';
import { EVENT_DEFAULTS } from '../../storage/fixtures/column-defaults.ts';
import { deviceId } from '../../storage/ids.ts';
import type { EventRow } from '../../storage/rows.ts';
import { createDirectorySubgraph } from '../../subgraphs/directory/index.ts';
import { createEventsSubgraph } from '../../subgraphs/events/index.ts';
import { noIntegrations, noSync } from '../../subgraphs/fixtures/no-services.ts';
import { createInventorySubgraph } from '../../subgraphs/inventory/index.ts';

// The streaming half of the product, real from the log to the socket, with walls that can be taken down: the gateway,
// the events subgraph with its tail, and the store's life can be ended and begun again while clients are there.

export const codec = createCursorCodec(Buffer.alloc(32, 9));

const notHere = async () => {
  throw new TypeError('not part of this house');
};

/** What a row of the log is made with, where it is not the usual. */
export type Happening = Partial<EventRow> & { readonly org?: string; readonly device?: string };

export interface House {
  readonly db: Database;
  readonly engine: FederationEngine;
  readonly gateway: Gateway;
  readonly url: string;
  /** Operations sent to each subgraph, by name. */
  readonly fetches: ReadonlyMap<string, readonly SubgraphFetch[]>;
  /** Logs events and rings; those with `changed: 1` move their device with them. @returns their numbers */
  happen(...happenings: readonly Happening[]): Promise<readonly number[]>;
  token(
    access?: Partial<AccessScope>,
    options?: { readonly sub?: string; readonly ttlSeconds?: number },
  ): Promise<string>;
  /** Number and epoch of a cursor. */
  placeOf(cursor: string): { readonly seq: number; readonly epoch: string };
  cursorAt(seq: number): string;
  /** Ends the gateway and opens it again on the same port. */
  restartGateway(): Promise<void>;
  /** Ends the tail, and later the events subgraph; `meanwhile` happens while nobody hears it. */
  restartEvents(meanwhile: () => Promise<unknown>): Promise<void>;
  /** Every open stream of the events subgraph breaks, as when its store cannot be read. */
  breakStreams(): void;
  /** The store goes on from a backup that was restored: its numbers mean something else now. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

export interface HouseOptions {
  readonly limits?: Partial<Limits>;
  /** Of the gateway and the stream. */
  readonly now?: () => number;
  readonly streamStallMs?: number;
}

/** Orgs `org_a` and `org_b`, each with sites `site_x` and `site_x2` and devices `cam-1` and `cam-2`. */
export async function openHouse(store: Database, options: HouseOptions = {}): Promise<House> {
  const now = options.now ?? Date.now;
  const directory = mkdtempSync(join(tmpdir(), 'convergraph-stream-'));
  const issuer = await createTokenIssuer({ keyFile: join(directory, 'key.json') });
  for (const name of ['a', 'b']) await seed(store, { name });
  let db = store;
  let port = 0;
  let epochs = 0;
  const fetches = new Map<string, SubgraphFetch[]>();
  let broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);

  function eventsSubgraph(): Subgraph {
    const processor = createProcessor({ db, vendors: [acme], logger: quiet, now });
    const deadLetters = createDeadLetters({ db, processor });
    return createEventsSubgraph({ db, cursors: codec, tail, deadLetters, now }, [acme]);
  }

  function allSubgraphs(): readonly Subgraph[] {
    const publicUrl = new URL('http://house.example');
    return [
      createDirectorySubgraph({ db, cursors: codec, integrations: noIntegrations, publicUrl, now }, [acme]),
      createInventorySubgraph({ db, cursors: codec, sync: noSync, now }, [acme]),
      eventsSubgraph(),
    ];
  }

  function watched(name: string, transport: SubgraphTransport): SubgraphTransport {
    const seen = fetches.get(name) ?? [];
    fetches.set(name, seen);
    return {
      execute(fetch) {
        seen.push(fetch);
        return transport.execute(fetch);
      },
      async *subscribe(fetch) {
        seen.push(fetch);
        const stop = new AbortController();
        const signal = AbortSignal.any([fetch.signal, stop.signal]);
        const items = transport.subscribe({ ...fetch, signal })[Symbol.asyncIterator]();
        try {
          for (;;) {
            const { done, value } = await Promise.race([items.next(), broken.promise]);
            if (done === true) return;
            yield value;
          }
        } finally {
          stop.abort();
        }
      },
    };
  }

  const transports = () =>
    new Map(
      subgraphs.map((subgraph) => {
        const local = createLocalTransport(subgraph, (error) => {
          throw error;
        });
        return [subgraph.name, watched(subgraph.name, local)] as const;
      }),
    );
  async function openGateway() {
    engine = createFederationEngine({
      supergraphSdl,
      transports: transports(),
      streamRetryDelayMs: () => 1,
      ...(options.streamStallMs === undefined ? {} : { streamStallMs: options.streamStallMs }),
    });
    gateway = createGateway({
      config: {
        host: '127.0.0.1',
        port,
        corsOrigins: [],
        metricsToken: null,
        limits: { ...DEFAULT_LIMITS, ...options.limits },
      },
      logger: quiet,
      authenticator: createAuthenticator({
        issuer: issuer.issuer,
        audience: issuer.audience,
        keys: { keys: issuer.jwks() },
        logger: quiet,
        now,
      }),
      intake: { handle: notHere, ask: notHere },
      syncs: noSync,
      readiness: {},
      engine,
      metrics: createMetrics(),
      now,
    });
    ({ port } = await gateway.listen());
  }

  async function closeGateway(): Promise<void> {
    await gateway.close();
    engine.close();
  }

  let tail = createLogTail({ db, logger: quiet });
  let engine!: FederationEngine;
  let gateway!: Gateway;
  let subgraphs = allSubgraphs();
  const supergraphSdl = compose(new Map(subgraphs.map(({ name, sdl }) => [name, sdl])));
  await openGateway();

  return {
    get db() {
      return db;
    },
    get engine() {
      return engine;
    },
    get gateway() {
      return gateway;
    },
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    fetches,
    async happen(...happenings) {
      const first = await db.write(async (tx) => {
        const from = await db.takeSequence(tx, happenings.length);
        const rows = happenings.map((each, at) => rowOf(from + at, each));
        await insertEvents(db, tx, rows);
        for (const { device_id, state, changed, org_id } of rows) {
          if (changed === 0 || device_id === null || state === null) continue;
          await tx.updateTable('devices').set({ state }).where('id', '=', device_id).execute();
          await tx.updateTable('orgs').set({ revision: sql`revision + 1` }).where('id', '=', org_id).execute();
        }
        return from;
      });
      db.doorbell.ring('log');
      return happenings.map((_, at) => first + at);
    },
    async token(access = {}, { sub = 'somebody', ttlSeconds = 3_600 } = {}) {
      const { orgIds = 'all', siteIds = null } = access;
      const scopes = ['inventory:read', 'events:read'] as const;
      const site = siteIds === null ? {} : { siteIds };
      return issuer.issue({ sub, scopes, orgIds, ttlSeconds, ...site });
    },
    placeOf: (cursor) => createEventCursors(codec, db.epoch).decode(cursor),
    cursorAt: (seq) => createEventCursors(codec, db.epoch).encode(seq, null),
    async restartGateway() {
      await closeGateway();
      await openGateway();
    },
    async restartEvents(meanwhile) {
      await tail.stop();
      await meanwhile();
      tail = createLogTail({ db, logger: quiet });
      const events = eventsSubgraph();
      subgraphs = subgraphs.map((subgraph) => (subgraph.name === 'events' ? events : subgraph));
      await engine.reload({ supergraphSdl, transports: transports() });
    },
    breakStreams() {
      const { reject } = broken;
      broken = Promise.withResolvers<never>();
      broken.promise.catch(() => undefined);
      reject(new TransportError('SUBGRAPH_UNAVAILABLE', 'the store cannot be read'));
    },
    async restore() {
      await closeGateway();
      await tail.stop();
      epochs += 1;
      db = { ...store, epoch: `restored ${epochs}` };
      tail = createLogTail({ db, logger: quiet });
      subgraphs = allSubgraphs();
      await openGateway();
    },
    async close() {
      await closeGateway();
      await tail.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function rowOf(seq: number, { org = 'a', device = 'cam-1', ...changes }: Happening): EventRow {
  return {
    ...EVENT_DEFAULTS,
    seq,
    key: Buffer.from(seq.toString(16).padStart(32, '0'), 'hex'),
    org_id: `org_${org}`,
    site_id: `site_${org}`,
    device_id: deviceId(`int_${org}`, device),
    integration_id: `int_${org}`,
    inbox_id: null,
    family: 'HEALTH',
    type: 'health.reported',
    severity: 1,
    occurred_at: NOON + seq,
    received_at: NOON + seq,
    clock_skew_ms: null,
    late: 0,
    vendor_event_id: `e${seq}`,
    vendor_code: null,
    origin: 'WEBHOOK',
    summary: `event ${seq}`,
    state: 'ONLINE',
    previous_state: 'OFFLINE',
    state_reason: null,
    changed: 0,
    details: '{}',
    media: '[]',
    raw: null,
    ...changes,
  };
}
