import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';

export interface Lease {
  readonly name: string;
  readonly owner: string;
  /** Goes up with every new owner. */
  readonly fence: number;
  /** Milliseconds since the epoch, by the clock that was passed in. */
  readonly expiresAt: number;
}

/**
 * Rows that say who may do something: exactly one owner per name at a time. Owners in several processes compare their
 * own clocks, so a lease must last much longer than these can differ.
 */
export interface Leases {
  /** @returns null while somebody has it, be it the same owner: two workers of one process exclude each other too */
  acquire(name: string, owner: string, ttlMs: number): Promise<Lease | null>;
  /** @returns null when it was lost: stop the work */
  renew(lease: Lease, ttlMs: number): Promise<Lease | null>;
  /** Others need not wait for the end. Does nothing when it was lost. */
  release(lease: Lease): Promise<void>;
  /**
   * For the start of a transaction that only the owner may commit: until it ends, nobody else can acquire the lease.
   * Not a question of time: an owner that was slow but has no successor may still write.
   */
  isHeld(tx: Tx, lease: Lease): Promise<boolean>;
}

/**
 * A lease that ends later than this many times its length is of a clock that was ahead and has been set back since: its
 * owner, if there is one, would have renewed it by the clock of now.
 */
const MAX_AHEAD = 2;

/** @param options.now milliseconds since the epoch */
export function createLeases({ db, now }: { readonly db: Database; readonly now: () => number }): Leases {
  return {
    acquire: (name, owner, ttlMs) =>
      db.write(async (tx) => {
        const at = now();
        const row = await tx
          .insertInto('leases')
          .values({ name, owner, fence: 1, expires_at: at + ttlMs })
          .onConflict((conflict) =>
            conflict
              .column('name')
              .doUpdateSet({ owner, fence: sql<number>`leases.fence + 1`, expires_at: at + ttlMs })
              .where((eb) =>
                eb.or([eb('leases.expires_at', '<=', at), eb('leases.expires_at', '>', at + MAX_AHEAD * ttlMs)]),
              ),
          )
          .returning('fence')
          .executeTakeFirst();
        return row === undefined ? null : { name, owner, fence: row.fence, expiresAt: at + ttlMs };
      }),

    renew: (lease, ttlMs) =>
      db.write(async (tx) => {
        const at = now();
        const expiresAt = at + ttlMs;
        const row = await tx
          .updateTable('leases')
          .set({ expires_at: expiresAt })
          .where('name', '=', lease.name)
          .where('fence', '=', lease.fence)
          .where('expires_at', '>', at)
          .returning('fence')
          .executeTakeFirst();
        return row === undefined ? null : { ...lease, expiresAt };
      }),

    async release(lease) {
      await db.write((tx) =>
        tx
          .updateTable('leases')
          // The row stays: its fence must go on counting.
          .set({ expires_at: 0 })
          .where('name', '=', lease.name)
          .where('fence', '=', lease.fence)
          .execute(),
      );
    },

    async isHeld(tx, lease) {
      // An update that changes nothing takes the row's lock on both engines.
      const row = await tx
        .updateTable('leases')
        .set({ fence: lease.fence })
        .where('name', '=', lease.name)
        .where('fence', '=', lease.fence)
        .where('expires_at', '>', 0)
        .returning('fence')
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}
