import { sql } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { visibleInOrg } from './access-conditions.ts';
import type { Database, Tx } from './database.ts';
import type { IntegrationRow } from './rows.ts';
import { NEVER } from './sql-conditions.ts';
import type { UnknownCodesTable } from './tables.ts';

/** Codes that are told apart for one integration: a platform that makes them up must not fill the store. */
export const MAX_CODES = 200;
/** Under it all further codes are counted together. */
export const OTHER_CODES = '*';
const MAX_CODE_CHARACTERS = 200;
/** A code that was not seen for so long makes room for a new one: its table was mended, or the platform was. */
const FORGOTTEN_AFTER_MS = 30 * 86_400_000;

/** One event whose code no table knows. */
export interface UnknownCode {
  readonly code: string;
  /** When it reached us, in milliseconds. */
  readonly at: number;
}

interface Tally {
  count: number;
  first: number;
  last: number;
}

/** PostgreSQL's text holds no U+0000. */
function storedCode(code: string): string {
  return code.replaceAll('\0', '�').slice(0, MAX_CODE_CHARACTERS).toWellFormed();
}

function tally(codes: readonly UnknownCode[]): Map<string, Tally> {
  const tallies = new Map<string, Tally>();
  for (const { code, at } of codes) {
    const name = storedCode(code);
    const known = tallies.get(name);
    if (known === undefined) tallies.set(name, { count: 1, first: at, last: at });
    else {
      known.count += 1;
      known.first = Math.min(known.first, at);
      known.last = Math.max(known.last, at);
    }
  }
  return tallies;
}

/**
 * Counts events by their unknown codes: the first 200 codes of an integration by themselves, all others together. The
 * caller holds the integration's row, so that two writers never count the same code at once.
 */
export async function countUnknownCodes(
  tx: Tx,
  integration: Pick<IntegrationRow, 'id' | 'org_id'>,
  codes: readonly UnknownCode[],
): Promise<void> {
  if (codes.length === 0) return;
  const rows = await tx
    .selectFrom('unknown_codes')
    .select(['code', 'last_seen_at'])
    .where('integration_id', '=', integration.id)
    .execute();
  const known = new Set(rows.map(({ code }) => code).filter((code) => code !== OTHER_CODES));
  const arriving = new Set(codes.map(({ code }) => storedCode(code)));
  if (known.size + arriving.size > MAX_CODES) {
    const before = Math.max(...codes.map(({ at }) => at)) - FORGOTTEN_AFTER_MS;
    const forgotten = rows
      .filter(({ code, last_seen_at }) => last_seen_at < before && code !== OTHER_CODES && !arriving.has(code))
      .map(({ code }) => code);
    for (const code of forgotten) known.delete(code);
    if (forgotten.length > 0) {
      await tx
        .deleteFrom('unknown_codes')
        .where('integration_id', '=', integration.id)
        .where('code', 'in', forgotten)
        .execute();
    }
  }
  const bounded = codes.map((each) => {
    const code = storedCode(each.code);
    if (!known.has(code)) {
      if (known.size >= MAX_CODES) return { ...each, code: OTHER_CODES };
      known.add(code);
    }
    return each;
  });
  await tx
    .insertInto('unknown_codes')
    .values(
      [...tally(bounded)].map(([code, { count, first, last }]) => ({
        integration_id: integration.id,
        org_id: integration.org_id,
        code,
        count,
        first_seen_at: first,
        last_seen_at: last,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['integration_id', 'code']).doUpdateSet({
        count: sql<number>`unknown_codes.count + excluded.count`,
        last_seen_at: sql<number>`case when unknown_codes.last_seen_at > excluded.last_seen_at then unknown_codes.last_seen_at else excluded.last_seen_at end`,
      }),
    )
    .execute();
}

export type UnknownCodeRow = Pick<
  UnknownCodesTable,
  'integration_id' | 'code' | 'count' | 'first_seen_at' | 'last_seen_at'
>;

/**
 * Unknown codes of these integrations, most frequent first. They belong to an integration and to no site: who sees some of
 * an org's sites only sees none.
 */
export async function readUnknownCodes(
  db: Pick<Database, 'read'>,
  access: AccessScope,
  integrationIds: readonly string[],
): Promise<readonly UnknownCodeRow[]> {
  if (integrationIds.length === 0) return [];
  return db.read
    .selectFrom('unknown_codes')
    .select(['integration_id', 'code', 'count', 'first_seen_at', 'last_seen_at'])
    .where('integration_id', 'in', integrationIds)
    .where(access.siteIds === null ? visibleInOrg(access, 'unknown_codes') : NEVER)
    .orderBy('count', 'desc')
    .orderBy('code')
    .execute();
}
