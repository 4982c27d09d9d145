import { hasScope, type Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import { visibleIntegration } from '../../storage/access-conditions.ts';
import type { Database } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { userError } from './user-errors.ts';

/** Whether a principal may set up anything: planned work, how status is judged, integrations. @returns what forbids it, or null */
export function writeScopeRefusal(principal: Principal): UserError | null {
  return hasScope(principal, 'integrations:write')
    ? null
    : userError('FORBIDDEN', 'This needs the scope integrations:write.');
}

/**
 * Whether a principal may change integrations at all. An integration spans the sites of an org, so a principal that is
 * limited to some of them may not.
 *
 * @returns what forbids it, or null; it never depends on what exists
 */
export function writeRefusal(principal: Principal): UserError | null {
  const refusal = writeScopeRefusal(principal);
  if (refusal !== null) return refusal;
  if (principal.access.siteIds !== null) {
    return userError('FORBIDDEN', 'This token is limited to sites; integrations belong to the whole org.');
  }
  return null;
}

export function seesOrg({ access }: Principal, orgId: string): boolean {
  return access.orgIds === 'all' || access.orgIds.includes(orgId);
}

/** An integration in the principal's scope; null when it does not exist or is outside. */
export async function findIntegration(
  db: Database,
  { access }: Principal,
  integrationId: string,
): Promise<IntegrationRow | null> {
  const row = await db.read
    .selectFrom('integrations')
    .selectAll()
    .where('integrations.id', '=', integrationId)
    .where(visibleIntegration(access))
    .executeTakeFirst();
  return row ?? null;
}

export function notFound(what: string, path: string[]): UserError {
  return userError('NOT_FOUND', `There is no such ${what}.`, path);
}
