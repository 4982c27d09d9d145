import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { SqliteConnection } from './sqlite-connection.ts';

/** Counts what is compiled. */
class CountingDatabase extends DatabaseSync {
  prepared = 0;
  override prepare(sql: string) {
    this.prepared += 1;
    return super.prepare(sql);
  }
}

describe('a SQLite connection', () => {
  const create = () => {
    const database = new CountingDatabase(':memory:');
    return { database, connection: new SqliteConnection(database) };
  };

  it('compiles a statement once', () => {
    const { database, connection } = create();
    for (let index = 0; index < 10; index += 1) {
      expect(connection.query('select ? + 1 as next', [index]).rows).toEqual([{ next: index + 1 }]);
    }
    expect(database.prepared).toBe(1);
  });

  it('forgets the statement that was not used for longest', () => {
    const { database, connection } = create();
    connection.query('select 0', []);
    for (let index = 1; index < 300; index += 1) connection.query(`select ${index}`, []);
    connection.query('select 0', []);
    connection.query('select 300', []);
    expect(database.prepared).toBe(301);
    connection.query('select 0', []);
    expect(database.prepared).toBe(301);
    connection.query('select 1', []);
    expect(database.prepared).toBe(302);
  });

  it('does not keep long texts', () => {
    const { database, connection } = create();
    const long = `select '${'x'.repeat(9_000)}'`;
    connection.query(long, []);
    connection.query(long, []);
    expect(database.prepared).toBe(2);
  });

  it('divides whole numbers as PostgreSQL does', () => {
    expect(create().connection.query('select ? / ? as quotient', [7, 2]).rows).toEqual([{ quotient: 3 }]);
    expect(create().connection.query('select ? / ? as quotient', [7.5, 2]).rows).toEqual([{ quotient: 3.75 }]);
  });

  it.each([[new Date(0)], [{}], [[1]], [Symbol('x')]])('refuses a value that no column holds (case %#)', (value) => {
    expect(() => create().connection.query('select ?', [value])).toThrow(expect.objectContaining({ code: 'QUERY' }));
  });
});
