import { hasScope } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import { visibleIntegration } from '../../storage/access-conditions.ts';
import type { DeadLetterRow, DeadLetterSelection } from '../../storage/inbox-dead-letters.ts';
import { forbidden } from '../require-scope.ts';
import type { Context } from './context.ts';

export interface ReplayInput extends Pick<DeadLetterSelection, 'ids'> {
  readonly integrationId: string;
  readonly filter?: Omit<DeadLetterSelection, 'ids'> | null | undefined;
}

export interface ReplayPayload {
  readonly replayed: number;
  readonly stillFailing: DeadLetterRow[];
  readonly userErrors: UserError[];
}

/** Ids in one call: more are named by a filter. */
const MAX_IDS = 500;

function nothing(error: UserError): ReplayPayload {
  return { replayed: 0, stillFailing: [], userErrors: [error] };
}

/** Needs `integrations:write`. An integration outside of the principal's scope is one that does not exist. */
export async function replayDeadLetters(
  { db, deadLetters, principal }: Context,
  { integrationId, ids, filter }: ReplayInput,
): Promise<ReplayPayload> {
  if (!hasScope(principal, 'integrations:write')) return nothing(forbidden('This needs the scope integrations:write.'));
  if (principal.access.siteIds !== null) {
    return nothing(forbidden('A token that is limited to certain sites does not see deliveries.'));
  }
  if ((ids?.length ?? 0) > MAX_IDS) {
    const message = `At most ${MAX_IDS} ids at once.`;
    return nothing({ code: 'INVALID', message, path: ['ids'], hint: 'Use a filter.' });
  }
  const integration = await db.read
    .selectFrom('integrations')
    .select('integrations.id')
    .where('integrations.id', '=', integrationId)
    .where(visibleIntegration(principal.access))
    .executeTakeFirst();
  if (integration === undefined) {
    return nothing({
      code: 'NOT_FOUND',
      message: 'There is no such integration.',
      path: ['integrationId'],
      hint: null,
    });
  }
  const { replayed, stillFailing } = await deadLetters.replay(integrationId, { ...filter, ids });
  return { replayed, stillFailing: [...stillFailing], userErrors: [] };
}
