import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, describe, onTestFinished } from 'vitest';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';

export type OpenTestDatabase = () => Promise<Database>;

const ENGINES = ['sqlite'] as const;

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
      const { db, cleanup } = await openSqliteForTest();
      atEnd(cleanup, cleanups);
      return db;
    }, engine);
  });
}

function atEnd(cleanup: () => Promise<void>, ofSuite: (() => Promise<void>)[]): void {
  try {
    onTestFinished(cleanup);
  } catch {
    // Not inside a test: a hook opened it for all of them.
    ofSuite.push(cleanup);
  }
}

async function openSqliteForTest(): Promise<{ db: Database; cleanup: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'convergraph-test-'));
  const db = await openDatabase({ url: `sqlite:${join(directory, 'test.db')}`, logger: pino({ level: 'silent' }) });
  const cleanup = async () => {
    await db.close();
    await rm(directory, { recursive: true, force: true });
  };
  return { db, cleanup };
}
