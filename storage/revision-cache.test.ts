import { expect, it } from 'vitest';
import type { AccessScope } from '../schema/principal.ts';
import { bumpOrgRevision } from './directory-store-write.ts';
import { insertFixture, orgRow } from './fixtures/directory-rows.ts';
import { createRevisionCache } from './revision-cache.ts';
import { eachEngine } from './testing.ts';

const A: AccessScope = { orgIds: ['org_a'], siteIds: null };
const BOTH: AccessScope = { orgIds: ['org_a', 'org_b'], siteIds: null };
const ALL: AccessScope = { orgIds: 'all', siteIds: null };

const one = () => 1;

eachEngine('revision cache', (openDb) => {
  async function open() {
    const db = await openDb();
    await insertFixture(db, { orgs: [orgRow('org_a'), orgRow('org_b')] });
    const cache = createRevisionCache(db);
    let loads = 0;
    const read = (access: AccessScope, key = 'key') => cache.read(access, key, async () => (loads += 1), one);
    return { db, cache, read, bump: (id: string) => db.write((tx) => bumpOrgRevision(tx, id, 1)) };
  }

  it('answers from memory until an org of the scope moves on', async () => {
    const { read, bump } = await open();
    expect([await read(A), await read(A)]).toEqual([1, 1]);
    await bump('org_b');
    expect(await read(A)).toBe(1);
    await bump('org_a');
    expect([await read(A), await read(A)]).toEqual([2, 2]);
  });

  it('watches every org of a wider scope, and new ones', async () => {
    const { db, read, bump } = await open();
    expect([await read(BOTH), await read(ALL)]).toEqual([1, 2]);
    await bump('org_b');
    expect([await read(BOTH), await read(ALL)]).toEqual([3, 4]);
    await insertFixture(db, { orgs: [orgRow('org_c')] });
    expect([await read(BOTH), await read(ALL)]).toEqual([3, 5]);
  });

  it('keeps scopes and keys apart', async () => {
    const { read } = await open();
    expect(await read(A)).toBe(1);
    expect(await read({ orgIds: ['org_a'], siteIds: ['site_1'] })).toBe(2);
    expect(await read({ orgIds: ['org_a'], siteIds: [] })).toBe(3);
    expect(await read(A, 'other key')).toBe(4);
  });

  it('shares one load among concurrent readers and forgets what failed', async () => {
    const { cache } = await open();
    let loads = 0;
    const fail = async () => {
      loads += 1;
      throw new RangeError('no');
    };
    const both = await Promise.allSettled([cache.read(A, 'k', fail, one), cache.read(A, 'k', fail, one)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(loads).toBe(1);
    await expect(cache.read(A, 'k', async () => 'fine', one)).resolves.toBe('fine');
  });

  it('serves nothing older than what was committed before the question', async () => {
    const { cache, bump } = await open();
    const gate = Promise.withResolvers<string>();
    const started = Promise.withResolvers<void>();
    const load = () => {
      started.resolve();
      return gate.promise;
    };
    const old = cache.read(A, 'k', load, one);
    await started.promise;
    await bump('org_a');
    await expect(cache.read(A, 'k', async () => 'new', one)).resolves.toBe('new');
    gate.resolve('old');
    await expect(old).resolves.toBe('old');
    await expect(cache.read(A, 'k', async () => 'newest', one)).resolves.toBe('new');
  });

  it('drops the least recently used when it is full', async () => {
    const { cache } = await open();
    const loaded: string[] = [];
    const read = (key: string) =>
      cache.read(
        A,
        key,
        async () => loaded.push(key),
        () => 20_000,
      );
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await read(key);
    expect(loaded).toEqual(['a', 'b', 'c', 'b']);
  });
});
