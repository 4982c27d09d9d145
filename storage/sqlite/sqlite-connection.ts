import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { toSqlValue } from '../sql-values.ts';
import { toSqliteError } from './sqlite-error.ts';

/** Statements kept ready. Resolvers make some dozens of texts; more than this are one-off filters. */
const MAX_STATEMENTS = 300;
/** Longer texts are one-off lists of ids: keeping them would keep megabytes. */
const MAX_CACHED_SQL_CHARACTERS = 8_192;

interface Prepared {
  readonly statement: StatementSync;
  readonly returnsRows: boolean;
}

export interface SqliteResult {
  readonly rows: Record<string, unknown>[];
  /** Rows changed; undefined for statements that return rows. */
  readonly changes: number | undefined;
  readonly lastInsertRowid: number | undefined;
}

/** One handle of SQLite with its prepared statements. Everything is synchronous; failures are StorageErrors. */
export class SqliteConnection {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, Prepared>();

  constructor(database: DatabaseSync) {
    this.#database = database;
    // SQLite's own lower() knows ASCII only; see sql-conditions.ts.
    database.function('fold_case', { deterministic: true }, (text) =>
      typeof text === 'string' ? text.toLowerCase() : null,
    );
  }

  query(sql: string, parameters: readonly unknown[]): SqliteResult {
    try {
      const { statement, returnsRows } = this.#prepare(sql);
      const values = parameters.map(toBinding);
      if (returnsRows) return { rows: statement.all(...values), changes: undefined, lastInsertRowid: undefined };
      const { changes, lastInsertRowid } = statement.run(...values);
      return { rows: [], changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
    } catch (error) {
      throw toSqliteError(error);
    }
  }

  /** Runs one statement once per row. @returns for each row whether it changed anything */
  runMany(sql: string, rows: readonly (readonly unknown[])[]): boolean[] {
    try {
      const { statement } = this.#prepare(sql);
      return rows.map((row) => statement.run(...row.map(toSqlValue)).changes !== 0);
    } catch (error) {
      throw toSqliteError(error);
    }
  }

  exec(sql: string): void {
    try {
      this.#database.exec(sql);
    } catch (error) {
      throw toSqliteError(error);
    }
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction;
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #prepare(sql: string): Prepared {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      // Put to the end: the first one is the one that was not used for longest.
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const statement = this.#database.prepare(sql);
    const prepared = { statement, returnsRows: statement.columns().length > 0 };
    if (sql.length <= MAX_CACHED_SQL_CHARACTERS) {
      if (this.#statements.size >= MAX_STATEMENTS) {
        const [oldest] = this.#statements.keys();
        if (oldest !== undefined) this.#statements.delete(oldest);
      }
      this.#statements.set(sql, prepared);
    }
    return prepared;
  }
}

/** Numbers are bound as doubles by `node:sqlite`, which would make `? / 2` a fraction here and an integer on PostgreSQL. */
function toBinding(value: unknown): SQLInputValue {
  const known = toSqlValue(value);
  return typeof known === 'number' && Number.isSafeInteger(known) ? BigInt(known) : known;
}
