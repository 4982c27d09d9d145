import { z } from 'zod';
import { type Principal, SCOPES, type Scope } from '../../schema/principal.ts';

/** More ids than this in one token would not fit into a header anyway. */
const MAX_IDS = 500;

const ids = z.array(z.string().min(1).max(200)).max(MAX_IDS);

/**
 * What a verified token must say. Claims we do not know are left alone, wrong ones refuse the token.
 *
 * @see RFC 9068 for `sub`, `scope` and `client_id`
 */
const Claims = z.object({
  sub: z.string().min(1).max(500),
  exp: z.number(),
  scope: z.string().default(''),
  /** `["*"]` is every org; absent or empty is none. */
  org_ids: ids.default([]),
  /** Absent is every site of the orgs; an empty list is none. */
  site_ids: ids.optional(),
  client_id: z.string().optional(),
});

function isScope(word: string): word is Scope {
  return (SCOPES as readonly string[]).includes(word);
}

function sorted(list: readonly string[]): readonly string[] {
  return [...new Set(list)].toSorted();
}

/** @returns null when the claims are not what they have to be */
export function principalOf(payload: unknown): Principal | null {
  const parsed = Claims.safeParse(payload);
  if (!parsed.success) return null;
  const { sub, exp, scope, org_ids, site_ids, client_id } = parsed.data;
  return {
    id: sub,
    // A program that asks for itself is its own subject.
    kind: client_id === sub ? 'SERVICE' : 'USER',
    scopes: new Set(scope.split(' ').filter(isScope)),
    access: {
      orgIds: org_ids.includes('*') ? 'all' : sorted(org_ids),
      siteIds: site_ids === undefined ? null : sorted(site_ids),
    },
    expiresAt: new Date(exp * 1_000),
  };
}
