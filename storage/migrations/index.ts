import { type Kysely, type Migration, type MigrationProvider, Migrator, sql } from 'kysely';
import { StorageError } from '../storage-error.ts';
import type { Tables } from '../tables.ts';
import { initial } from './0001-initial.ts';
import { links } from './0002-links.ts';
import { status } from './0003-status.ts';
import { healthCounts } from './0004-health-counts.ts';
import { mediaLinks } from './0006-media-links.ts';
import { type Engine, dialectOf, type SchemaStep } from './schema-step.ts';

/** In the order in which they run. A step that was released is never changed: add another one. */
const STEPS: Readonly<Record<string, SchemaStep>> = {
  '0001-initial': initial,
  '0002-links': links,
  '0003-status': status,
  '0004-health-counts': healthCounts,
  '0006-media-links': mediaLinks,
};

/** Names of the steps that this program knows, in their order. */
export const knownSteps: readonly string[] = Object.keys(STEPS);

/**
 * Brings the tables up to this program's version; several processes may start at once.
 *
 * @param schema PostgreSQL's schema; SQLite has none
 * @throws StorageError `DATABASE_TOO_NEW` when a newer program was here, `MIGRATION_FAILED` with the step's name
 */
export async function migrate(db: Kysely<Tables>, engine: Engine, schema?: string): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: stepsFor(engine),
    ...(schema === undefined ? {} : { migrationTableSchema: schema }),
  });
  const known = new Set(Object.keys(STEPS));
  try {
    const applied = (await migrator.getMigrations()).filter((step) => step.executedAt !== undefined);
    const unknown = applied.find((step) => !known.has(step.name));
    if (unknown !== undefined) throw tooNew(unknown.name);
  } catch (error) {
    if (error instanceof StorageError) throw error;
    throw new StorageError('MIGRATION_FAILED', `the tables could not be inspected: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const missing = /previously executed migration (\S+) is missing/.exec(messageOf(error))?.[1];
  if (missing !== undefined) throw tooNew(missing);
  const failed = results?.find((result) => result.status === 'Error')?.migrationName ?? 'before the first step';
  throw new StorageError('MIGRATION_FAILED', `migration ${failed}: ${messageOf(error)}`, { cause: error });
}

function tooNew(step: string): StorageError {
  return new StorageError(
    'DATABASE_TOO_NEW',
    `the database was changed by a newer version of this program (${step}); start that version, or restore a backup`,
  );
}

function stepsFor(engine: Engine): MigrationProvider {
  const dialect = dialectOf(engine);
  const migrations: Record<string, Migration> = {};
  for (const [name, step] of Object.entries(STEPS)) {
    migrations[name] = {
      up: async (db) => {
        for (const statement of step(dialect)) await sql.raw(statement).execute(db);
      },
    };
  }
  return { getMigrations: async () => migrations };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
