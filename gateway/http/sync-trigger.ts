import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SyncService } from '../../pipeline/sync/service.ts';
import type { UserErrorCode } from '../../schema/words.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { Refusal } from '../refusal.ts';
import { sendJson } from './answer.ts';

const MAX_KEY_CHARS = 200;

const STATUS: ReadonlyMap<UserErrorCode, number> = new Map([
  ['INVALID', 400],
  ['FORBIDDEN', 403],
  ['NOT_FOUND', 404],
  ['CONFLICT', 409],
  ['RATE_LIMITED', 429],
]);

/**
 * `POST /integrations/{id}/sync`: lets another system, a cron job for example, start a sync without speaking GraphQL.
 * Answers 202 with the run. The same `idempotency-key` again answers with the same run.
 *
 * @throws Refusal `UNAUTHENTICATED` or `BAD_REQUEST`
 */
export async function answerSync(
  request: IncomingMessage,
  response: ServerResponse,
  integrationId: string,
  { authenticator, syncs }: { readonly authenticator: Authenticator; readonly syncs: SyncService },
): Promise<void> {
  const principal = await authenticator.authenticate(request.headers.authorization);
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY_CHARS) {
    throw new Refusal(400, 'BAD_REQUEST', `An idempotency-key header of 1 to ${MAX_KEY_CHARS} characters is needed.`);
  }
  const { run, userErrors } = await syncs.syncIntegration(
    principal,
    { integrationId, idempotencyKey: key },
    'EXTERNAL',
  );
  if (run === null) {
    const status = STATUS.get(userErrors[0]?.code ?? 'OTHER') ?? 422;
    sendJson(response, status, {
      errors: userErrors.map(({ message, code, hint }) => ({ message, extensions: { code, hint } })),
    });
    return;
  }
  sendJson(response, 202, {
    run: { id: run.id, state: run.state, trigger: run.trigger, startedAt: new Date(run.started_at).toISOString() },
  });
}
