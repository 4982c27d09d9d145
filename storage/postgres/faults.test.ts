import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Database } from '../database.ts';
import { openDatabase } from '../open-database.ts';
import { createTestStore } from '../testing.ts';
import { toPostgresError } from './postgres-error.ts';

async function open(): Promise<Database> {
  const { options, remove } = await createTestStore('postgres');
  const db = await openDatabase(options);
  onTestFinished(async () => {
    await db.close();
    await remove();
  });
  return db;
}

describe('PostgreSQL under faults', () => {
  it('loses the transaction whose connection broke off, and goes on with another connection', async () => {
    const db = await open();
    const broken = db.write(async (tx) => {
      await db.takeSequence(tx, 1);
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
      await sql`select pg_terminate_backend(${rows[0]?.pid})`.execute(db.read);
      await db.takeSequence(tx, 1);
    });
    await expect(broken).rejects.toMatchObject({ code: 'DATABASE_UNREACHABLE', retryable: true });
    expect(await db.head()).toBe(0);
    expect(await db.write((tx) => db.takeSequence(tx, 1))).toBe(1);
  });

  it('survives the loss of connections that nobody uses', async () => {
    const db = await open();
    await db.write((tx) => db.takeSequence(tx, 1));
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'convergraph' and pid <> pg_backend_pid()
        and query like 'commit%' and state = 'idle'`.execute(db.read);
    // The pool learns of it when it reads from the socket, which may be after we asked for the connection.
    const again = () => db.write((tx) => db.takeSequence(tx, 1));
    expect(await again().catch(again)).toBe(2);
  });

  it('says that two transactions wait for each other, to the one that has to give way', async () => {
    const db = await open();
    await db.write(async (tx) => {
      await sql`insert into sequence_heads (name, value) values ('a', 0), ('b', 0)`.execute(tx);
    });
    const touch = (name: string) => sql`update sequence_heads set value = value + 1 where name = ${name}`;
    const bothHaveOne = Promise.withResolvers<void>();
    let ready = 0;
    const both = [
      ['a', 'b'],
      ['b', 'a'],
    ].map(([first, second]) =>
      db.write(async (tx) => {
        await sql`set local deadlock_timeout = '20ms'`.execute(tx);
        await touch(first ?? '').execute(tx);
        ready += 1;
        if (ready === 2) bothHaveOne.resolve();
        await bothHaveOne.promise;
        await touch(second ?? '').execute(tx);
      }),
    );
    const results = await Promise.allSettled(both);
    const failures = results.filter((result) => result.status === 'rejected').map((result) => result.reason as unknown);
    expect(failures).toMatchObject([{ code: 'BUSY', retryable: true }]);
  });

  it.each([
    ['23505', 'DUPLICATE'],
    ['23502', 'CONSTRAINT'],
    ['25006', 'READ_ONLY'],
    ['28P01', 'DATABASE_LOGIN_REFUSED'],
    ['53100', 'DISK_FULL'],
    ['53300', 'OVERLOADED'],
    ['57P01', 'DATABASE_UNREACHABLE'],
    ['57014', 'TIMEOUT'],
    ['58030', 'IO'],
    ['XX001', 'CORRUPT'],
    ['42P01', 'QUERY'],
  ])('gives state %s the name %s', (state, code) => {
    const failure = Object.assign(new Error('x'), { code: state, severity: 'ERROR', detail: 'Key (x)=(hunter2)' });
    const error = toPostgresError(failure);
    expect(error).toMatchObject({ code });
    expect(error.cause).toBeUndefined();
  });

  it('does not repeat the value that does not fit its column', async () => {
    const db = await open();
    const error: unknown = await db.read
      .selectFrom('sites')
      .select('id')
      .where('created_at', '=', sql<number>`${'hunter2'}`)
      .execute()
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'QUERY', message: 'PostgreSQL: a value does not fit its column (22P02)' });
  });
});
