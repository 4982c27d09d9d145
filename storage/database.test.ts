import { sql } from 'kysely';
import { expect, it } from 'vitest';
import type { BulkInsert, Database } from './database.ts';
import { eachEngine } from './testing.ts';

const TAG_COLUMNS = ['device_id', 'org_id', 'tag'];

function tags(...rows: (readonly [string, string])[]): BulkInsert {
  return { table: 'device_tags', columns: TAG_COLUMNS, rows: rows.map(([device, tag]) => [device, 'org_1', tag]) };
}

async function storedTags(db: Database): Promise<string[]> {
  const rows = await db.read
    .selectFrom('device_tags')
    .select(['device_id', 'tag'])
    .orderBy('device_id')
    .orderBy('tag')
    .execute();
  return rows.map((row) => `${row.device_id}:${row.tag}`);
}

async function zoneNames(db: Database): Promise<string[]> {
  const rows = await db.read.selectFrom('zones').select('name').orderBy('name').execute();
  return rows.map((row) => row.name);
}

eachEngine('the database', (open, engine) => {
  it('shows what was committed to every reader and returns what the job returned', async () => {
    const db = await open();
    expect(db.engine).toBe(engine);
    const answer = await db.write(async (tx) => {
      await db.bulkInsert(tx, tags(['a', 'x']));
      return 42;
    });
    expect(answer).toBe(42);
    expect(await storedTags(db)).toEqual(['a:x']);
  });

  it('keeps nothing of a transaction whose job threw, and goes on', async () => {
    const db = await open();
    const failed = db.write(async (tx) => {
      await db.bulkInsert(tx, tags(['a', 'x']));
      await db.takeSequence(tx, 3);
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(await storedTags(db)).toEqual([]);
    expect(await db.head()).toBe(0);
    await db.write((tx) => db.bulkInsert(tx, tags(['b', 'y'])));
    expect(await storedTags(db)).toEqual(['b:y']);
  });

  it('shows readers nothing that is not committed, while the transaction sees its own rows', async () => {
    const db = await open();
    await db.write(async (tx) => {
      await db.bulkInsert(tx, tags(['a', 'x']));
      await db.takeSequence(tx, 1);
      expect(await storedTags(db)).toEqual([]);
      expect(await db.head()).toBe(0);
      expect(await tx.selectFrom('device_tags').select('tag').execute()).toEqual([{ tag: 'x' }]);
    });
    expect(await storedTags(db)).toEqual(['a:x']);
    expect(await db.head()).toBe(1);
  });

  it('loses no update of overlapping writes', async () => {
    const db = await open();
    const firsts = await Promise.all(Array.from({ length: 50 }, () => db.write((tx) => db.takeSequence(tx, 2))));
    expect(firsts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index * 2 + 1));
    expect(await db.head()).toBe(100);
  });

  it.each([0, -1, 1.5, Number.NaN])('refuses to take %s numbers', async (count) => {
    const db = await open();
    await expect(db.write((tx) => db.takeSequence(tx, count))).rejects.toMatchObject({ code: 'QUERY' });
    expect(await db.head()).toBe(0);
  });

  it('refuses a write inside a write, which would wait for itself', async () => {
    const db = await open();
    const nested = db.write(() => db.write(async () => 'never'));
    await expect(nested).rejects.toMatchObject({ code: 'NESTED_WRITE' });
    expect(await db.write(async () => 'again')).toBe('again');
  });

  it('lets a listener of the doorbell write, even when it is rung inside a write', async () => {
    const db = await open();
    const heard = Promise.withResolvers<string>();
    db.doorbell.on('inbox', () => {
      db.write(async () => 'written').then(heard.resolve, heard.reject);
    });
    await db.write(async () => db.doorbell.ring('inbox'));
    expect(await heard.promise).toBe('written');
  });

  it('commits nothing when the job swallowed the failure of a statement', async () => {
    const db = await open();
    await db.write((tx) => db.bulkInsert(tx, tags(['a', 'x'])));
    const swallowed = db.write(async (tx) => {
      await db.bulkInsert(tx, tags(['b', 'y']));
      await expect(db.bulkInsert(tx, tags(['a', 'x']))).rejects.toMatchObject({ code: 'DUPLICATE' });
    });
    await expect(swallowed).rejects.toMatchObject({ code: 'TRANSACTION_ABORTED' });
    expect(await storedTags(db)).toEqual(['a:x']);
  });

  it('refuses statements behind the end of a transaction', async () => {
    const db = await open();
    const leaked = await db.write(async (tx) => [tx] as const);
    await expect(leaked[0].selectFrom('orgs').selectAll().execute()).rejects.toThrow('already committed');
  });

  it('refuses to write through the reader', async () => {
    const db = await open();
    const write = db.read.insertInto('device_tags').values({ device_id: 'a', org_id: 'b', tag: 'c' }).execute();
    await expect(write).rejects.toMatchObject({ code: 'READ_ONLY' });
  });

  it('refuses everything after it was closed, and closes twice', async () => {
    const db = await open();
    await Promise.all([db.close(), db.close()]);
    await expect(db.write(async () => 1)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(db.head()).rejects.toThrow('destroyed');
  });

  it('finishes the writes under way before it closes', async () => {
    const db = await open();
    const writes = Array.from({ length: 10 }, (_, index) =>
      db.write((tx) => db.bulkInsert(tx, tags([`d${index}`, 'x']))),
    );
    await db.close();
    expect(await Promise.all(writes)).toHaveLength(10);
  });
});

eachEngine('bulk insert', (open) => {
  it('inserts nothing, one and many rows', async () => {
    const db = await open();
    expect(await db.write((tx) => db.bulkInsert(tx, tags()))).toEqual([]);
    expect(await db.write((tx) => db.bulkInsert(tx, tags(['a', 'x'])))).toEqual([true]);
    const many = Array.from({ length: 2_000 }, (_, index) => [`m${index}`, 'x'] as const);
    expect(await db.write((tx) => db.bulkInsert(tx, tags(...many)))).toHaveLength(2_000);
    expect(await storedTags(db)).toHaveLength(2_001);
  });

  it('passes over rows that exist, in the store or earlier in the batch, and says which', async () => {
    const db = await open();
    await db.write((tx) => db.bulkInsert(tx, tags(['a', 'x'])));
    const batch = { ...tags(['b', 'y'], ['a', 'x'], ['b', 'y'], ['c', 'z']), onConflictDoNothing: true };
    expect(await db.write((tx) => db.bulkInsert(tx, batch))).toEqual([true, false, false, true]);
    expect(await storedTags(db)).toEqual(['a:x', 'b:y', 'c:z']);
  });

  it('tells which keys of bytes were new', async () => {
    const db = await open();
    const rows = [1, 2, 1, 3].map((byte) => [Buffer.alloc(16, byte), 'event', 7, 0, 1]);
    const insert = {
      table: 'dedupe',
      columns: ['key', 'kind', 'ref', 'duplicates', 'seen_at'],
      rows,
      onConflictDoNothing: true,
    } as const;
    expect(await db.write((tx) => db.bulkInsert(tx, insert))).toEqual([true, true, false, true]);
    expect(await db.write((tx) => db.bulkInsert(tx, insert))).toEqual([false, false, false, false]);
  });

  it('does not take a missing value for a row that exists', async () => {
    const db = await open();
    const insert = {
      table: 'device_tags',
      columns: TAG_COLUMNS,
      rows: [['a', 'b', null]],
      onConflictDoNothing: true,
    } as const;
    await expect(db.write((tx) => db.bulkInsert(tx, insert))).rejects.toMatchObject({ code: 'CONSTRAINT' });
  });

  it.each([
    ['a row of another length', { table: 'device_tags', columns: TAG_COLUMNS, rows: [['a', 'b']] }],
    [
      'a column that does not exist',
      { table: 'device_tags', columns: ['device_id', 'org_id', 'colour'], rows: [['a', 'b', 'c']] },
    ],
    ['a name that is none', { table: 'device_tags', columns: ['tag") values (1); --'], rows: [['a']] }],
    ['a value of another type', { table: 'sequence_heads', columns: ['name', 'value'], rows: [['x', 1.5]] }],
  ] as const)('refuses %s', async (_, insert) => {
    const db = await open();
    await expect(db.write((tx) => db.bulkInsert(tx, insert))).rejects.toMatchObject({ name: 'StorageError' });
  });
});

eachEngine('values', (open) => {
  it('come back as they were stored', async () => {
    const db = await open();
    const site = {
      id: 's',
      org_id: 'o',
      name: 'Zürich 🚪',
      address: null,
      latitude: 47.3769,
      longitude: -0.5,
      timezone: '',
      created_at: 1_900_000_000_123,
      updated_at: 0,
    };
    const secret = {
      id: 'sec',
      integration_id: 'i',
      purpose: 'webhook',
      sealed: Uint8Array.of(0, 255, 128),
      hint: 'x',
      created_at: Number.MAX_SAFE_INTEGER,
      expires_at: null,
      last_used_at: null,
    };
    await db.write(async (tx) => {
      await tx.insertInto('sites').values(site).execute();
      await db.bulkInsert(tx, { table: 'secrets', columns: Object.keys(secret), rows: [Object.values(secret)] });
    });
    expect(await db.read.selectFrom('sites').selectAll().executeTakeFirst()).toEqual(site);
    const stored = await db.read.selectFrom('secrets').selectAll().executeTakeFirstOrThrow();
    expect(stored).toEqual(secret);
    expect(stored.sealed.constructor).toBe(Uint8Array);
  });

  it('have the same types when they were computed', async () => {
    const db = await open();
    await db.write((tx) => db.bulkInsert(tx, tags(['a', 'x'], ['b', 'x'])));
    const row = await db.read
      .selectFrom('device_tags')
      .select((query) => [
        query.fn.countAll<number>().as('count'),
        query.fn.sum<number>(sql<number>`length(tag)`).as('sum'),
        query.exists(query.selectFrom('orgs').select('id')).as('exists'),
        sql<number>`max(${7} / cast(2 as integer))`.as('quotient'),
      ])
      .executeTakeFirst();
    expect(row).toEqual({ count: 2, sum: 2, exists: 0, quotient: 3 });
  });

  it('lose only the character NUL, which PostgreSQL cannot store', async () => {
    const db = await open();
    await db.write((tx) => db.bulkInsert(tx, tags(['a', 'left\0right'])));
    await db.write((tx) => tx.insertInto('device_tags').values({ device_id: 'b', org_id: 'o', tag: 'x\0' }).execute());
    expect(await storedTags(db)).toEqual(['a:left\uFFFDright', 'b:x\uFFFD']);
    const found = await db.read.selectFrom('device_tags').select('device_id').where('tag', '=', 'x\0').execute();
    expect(found).toEqual([{ device_id: 'b' }]);
  });

  it('are ordered by their bytes, whatever the locale of the server', async () => {
    const db = await open();
    const names = ['b', 'B', 'a', 'Ä', 'z', '_', 'a b', 'ab', '🚪', '\uFB01', '10', '9'];
    const rows = names.map((name, index) => [`z${index}`, 'o', 's', null, name, 'AREA']);
    const columns = ['id', 'org_id', 'site_id', 'parent_id', 'name', 'kind'];
    await db.write((tx) => db.bulkInsert(tx, { table: 'zones', columns, rows }));
    const byBytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await zoneNames(db)).toEqual(byBytes);
  });

  it('are compared with their case by LIKE', async () => {
    const db = await open();
    await db.write((tx) => db.bulkInsert(tx, tags(['a', 'Lobby'], ['b', 'lobby'])));
    const rows = await db.read.selectFrom('device_tags').select('tag').where('tag', 'like', 'lob%').execute();
    expect(rows).toEqual([{ tag: 'lobby' }]);
  });

  it('do not show up in errors', async () => {
    const db = await open();
    const secret = 'hunter2';
    const columns = ['device_id', 'org_id', 'tag'];
    const twice = db.write((tx) =>
      db.bulkInsert(tx, {
        table: 'device_tags',
        columns,
        rows: [
          [secret, 'o', 't'],
          [secret, 'o', 't'],
        ],
      }),
    );
    const error: unknown = await twice.catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'DUPLICATE' });
    expect(String(error) + JSON.stringify(error)).not.toContain(secret);
    const wrongType = db.read
      .selectFrom('sites')
      .select('id')
      .where(sql`created_at`, '=', sql`cast(${secret} as integer)`)
      .execute();
    const other: unknown = await wrongType.catch((caught: unknown) => caught);
    expect(String(other) + JSON.stringify(other)).not.toContain(secret);
  });
});
