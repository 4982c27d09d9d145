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
  readonly remove: () => Promise<void>;
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
      const { db, cleanup } = await openFresh(engine);
      atEnd(cleanup, cleanups);
      return db;
    }, engine);
  });
}

/** Schemas of this file's tests that were emptied again: making the tables takes longer than most tests. */
const emptied: string[] = [];

async function openFresh(engine: Database['engine']): Promise<{ db: Database; cleanup: () => Promise<void> }> {
  const store = await createTestStore(engine);
  const schema = engine === 'postgres' ? (emptied.pop() ?? newId('test')) : undefined;
  const db = await openDatabase({ ...store.options, schema });
  const cleanup = async () => {
    await db.close();
    if (schema === undefined) return store.remove();
    await runOnPostgres(store.options.url, emptyTables(schema));
    emptied.push(schema);
  };
  return { db, cleanup };
}

function emptyTables(schema: string): string {
  // Devices first: what a trigger notes about their going is emptied after them.
  return `
    delete from ${schema}.devices;
    do $$ declare name text; begin
      for name in select tablename from pg_tables where schemaname = '${schema}' and tablename not like 'kysely%'
        and tablename <> 'sequence_heads'
      loop execute format('delete from ${schema}.%I', name); end loop;
    end $$;
    update ${schema}.sequence_heads set value = 0;
    select setval(pg_get_serial_sequence('${schema}.inbox', 'id'), 1, false)`;
}

async function runOnPostgres(url: string, statements: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(statements);
  await client.end();
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
    remove: () => runOnPostgres(url, `drop schema if exists ${schema} cascade`),
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
