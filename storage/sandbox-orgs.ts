import type { Database } from './database.ts';

/** Marks every org of the store as one of a sandbox: for a store that was filled by one before orgs had the mark. */
export async function markSandboxOrgs(db: Pick<Database, 'write'>): Promise<void> {
  await db.write((tx) => tx.updateTable('orgs').set({ is_sandbox: 1 }).where('is_sandbox', '=', 0).execute());
}
