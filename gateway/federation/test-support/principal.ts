import type { Principal } from '../../../schema/principal.ts';

/** Somebody who sees everything, unless said otherwise. */
export function testPrincipal(changes: Partial<Principal> = {}): Principal {
  return {
    id: 'tester',
    kind: 'USER',
    scopes: new Set(['admin'] as const),
    access: { orgIds: 'all', siteIds: null },
    expiresAt: null,
    ...changes,
  };
}
