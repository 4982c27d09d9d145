import { fault } from '../schema/errors.ts';
import { hasScope, type Principal, type Scope } from '../schema/principal.ts';
import type { UserError } from '../schema/words.ts';

/** @throws GraphQLError FORBIDDEN naming the scope that the token lacks */
export function requireScope(principal: Principal, scope: Scope): void {
  if (!hasScope(principal, scope)) throw fault('FORBIDDEN', `This needs the scope ${scope}.`, { scope });
}

/** For mutations, where it is an outcome. */
export function forbidden(message: string, hint: string | null = null): UserError {
  return { code: 'FORBIDDEN', message, path: null, hint };
}
