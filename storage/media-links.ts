import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';

// Which one-time links were used. Links themselves are stored nowhere: they say what they open, and prove it.

/** Takes a link for its one use. @returns false when it was taken before, by whichever process */
export async function takeMediaLink(db: Pick<Database, 'write'>, key: Uint8Array, expiresAt: number): Promise<boolean> {
  const taken = await db.write((tx) =>
    tx
      .insertInto('media_links')
      .values({ key, expires_at: expiresAt })
      .onConflict((conflict) => conflict.doNothing())
      .returning('expires_at')
      .execute(),
  );
  return taken.length > 0;
}

/** Gives a link back that could not be used after all. */
export async function giveMediaLinkBack(db: Pick<Database, 'write'>, key: Uint8Array): Promise<void> {
  await db.write((tx) => tx.deleteFrom('media_links').where('key', '=', key).execute());
}

/** Whether a link was used; it takes nothing. */
export async function isMediaLinkUsed(db: Pick<Database, 'read'>, key: Uint8Array): Promise<boolean> {
  const row = await db.read.selectFrom('media_links').select('expires_at').where('key', '=', key).executeTakeFirst();
  return row !== undefined;
}

/** Links that ended before an instant: they are refused for their age. @returns how many rows went */
export async function trimMediaLinks(tx: Tx, before: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`delete from media_links where key in (
    select key from media_links where expires_at < ${before} order by expires_at limit ${limit})`.execute(tx);
  return Number(numAffectedRows ?? 0n);
}
