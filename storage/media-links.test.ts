import { expect, it } from 'vitest';
import { giveMediaLinkBack, isMediaLinkUsed, takeMediaLink, trimMediaLinks } from './media-links.ts';
import { eachEngine } from './testing.ts';

const key = (byte: number): Buffer => Buffer.alloc(16, byte);

eachEngine('one-time links', (open) => {
  it('are taken once, by one of all who try at the same time', async () => {
    const db = await open();
    expect(await isMediaLinkUsed(db, key(1))).toBe(false);
    const tries = await Promise.all(Array.from({ length: 8 }, () => takeMediaLink(db, key(1), 1_000)));
    expect(tries.filter(Boolean)).toHaveLength(1);
    expect([await isMediaLinkUsed(db, key(1)), await isMediaLinkUsed(db, key(2))]).toEqual([true, false]);
    expect(await takeMediaLink(db, key(2), 1_000)).toBe(true);
  });

  it('can be taken again when they were given back', async () => {
    const db = await open();
    await takeMediaLink(db, key(1), 1_000);
    await giveMediaLinkBack(db, key(1));
    expect(await isMediaLinkUsed(db, key(1))).toBe(false);
    expect(await takeMediaLink(db, key(1), 1_000)).toBe(true);
  });

  it('are forgotten when they have ended, a bounded number at a time', async () => {
    const db = await open();
    for (const at of [1, 2, 3, 4]) await takeMediaLink(db, key(at), at * 1_000);
    expect(await db.write((tx) => trimMediaLinks(tx, 3_001, 2))).toBe(2);
    expect(await db.write((tx) => trimMediaLinks(tx, 3_001, 2))).toBe(1);
    expect(await isMediaLinkUsed(db, key(3))).toBe(false);
    expect(await isMediaLinkUsed(db, key(4))).toBe(true);
  });
});
