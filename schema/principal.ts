/** What a token allows. `admin` includes all of the others. */
export const SCOPES = ['inventory:read', 'events:read', 'control:write', 'integrations:write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * Which rows a principal may see. Both lists are sorted and free of duplicates, so that equal scopes are equal texts.
 *
 * - `orgIds: 'all'` sees every org; an empty list sees nothing.
 * - `siteIds: null` sees every site of its orgs; a list sees those sites, what belongs to them, and of the org its name.
 */
export interface AccessScope {
  readonly orgIds: 'all' | readonly string[];
  readonly siteIds: readonly string[] | null;
}

/** Who is asking, as proven by a verified token. There is no anonymous principal. */
export interface Principal {
  /** The token's subject. */
  readonly id: string;
  readonly kind: 'USER' | 'SERVICE' | 'API_KEY';
  readonly scopes: ReadonlySet<Scope>;
  readonly access: AccessScope;
  /** When the token ends; subscriptions end with it. Null: never (internal principals only). */
  readonly expiresAt: Date | null;
}

/** Equal for principals that see the same rows: the key of every shared cache, execution and stream group. */
export function accessKey(principal: Pick<Principal, 'access' | 'scopes'>): string {
  const { orgIds, siteIds } = principal.access;
  return JSON.stringify([orgIds, siteIds, [...principal.scopes].toSorted()]);
}

export function hasScope(principal: Principal, scope: Scope): boolean {
  return principal.scopes.has(scope) || principal.scopes.has('admin');
}
