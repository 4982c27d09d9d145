import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Client } from 'pg';
import { pino } from 'pino';
import { afterAll, describe, inject, onTestFinished } from 'vitest';
import { z } from 'zod';
import type { Database } from './database.ts';
import { newId } from './ids.ts';
import { openDatabase, type OpenDatabaseOptions } from './open-database.ts';

// For tests only: a fresh store on each engine.

export type OpenTestDatabase = () => Promise<Database>;

/** A store that can be opened again, or by a second process. Whoever opens it closes it. */
export interface TestStore {
  readonly options: OpenDatabaseOptions;
  remove(): Promise<void>;
}

const ENGINES = ['sqlite', 'postgres'] as const;
/** A suite opens many stores on one server. */
const MAX_CONNECTIONS = 4;

const silent = pino({ level: 'silent' });

/**
 * The same suite on every engine: `open()` gives a fresh, empty store each time. It is closed and removed at the end of
 * the test that opened it, or of the suite when a hook did.
 */
export function eachEngine(title: string, suite: (open: OpenTestDatabase, engine: Database['engine']) => void): void {
  describe.each(ENGINES)(`${title} on %s`, (engine) => {
    const cleanups: (() => Promise<void>)[] = [];
    afterAll(async () => {
      for (const cleanup of cleanups.splice(0)) await cleanup();
    });
    suite(async () => {
      const store = await createTestStore(engine);
      const db = await openDatabase(store.options);
      atEnd(async () => {
        await db.close();
        await store.remove();
      }, cleanups);
      return db;
    }, engine);
  });
}

/** A place for one store, empty. `remove` it after closing what was opened there. */
export async function createTestStore(engine: Database['engine']): Promise<TestStore> {
  if (engine === 'sqlite') {
    const directory = await mkdtemp(join(tmpdir(), 'convergraph-test-'));
    return {
      options: { url: `sqlite:${join(directory, 'test.db')}`, logger: silent },
      remove: () => rm(directory, { recursive: true, force: true }),
    };
  }
  const url = await postgresUrl();
  const schema = newId('test');
  return {
    options: { url, schema, logger: silent, maxConnections: MAX_CONNECTIONS },
    async remove() {
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(`drop schema if exists ${schema} cascade`);
      await client.end();
    },
  };
}

const BrokerAnswer = z.object({ url: z.string().optional(), error: z.string().optional() });

/** The run's private PostgreSQL, started when the first test asks. */
export async function postgresUrl(): Promise<string> {
  const socket = connect(inject('postgresBroker'), '127.0.0.1');
  await once(socket, 'connect');
  const { url, error } = BrokerAnswer.parse(JSON.parse(await text(socket)));
  if (url === undefined) throw new Error(error ?? 'no PostgreSQL');
  return url;
}

function atEnd(cleanup: () => Promise<void>, ofSuite: (() => Promise<void>)[]): void {
  try {
    onTestFinished(cleanup);
  } catch {
    // Not inside a test: a hook opened it for all of them.
    ofSuite.push(cleanup);
  }
}
