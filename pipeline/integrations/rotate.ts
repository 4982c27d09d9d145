import type { Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import { findIntegration, notFound, writeRefusal } from './access.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import type { RotateWebhookSecretInput, RotateWebhookSecretPayload } from './payloads.ts';
import { userError } from './user-errors.ts';
import { registerWebhook } from './webhook-registration.ts';
import {
  asProfile,
  endWebhookSecrets,
  makeWebhookSecret,
  readWebhookSecret,
  storeWebhookSecret,
  webhookSecretProblem,
} from './webhook-secrets.ts';

const DAY_MS = 86_400_000;
const DEFAULT_OVERLAP_MS = DAY_MS;
/** The longest retry schedule that we know of is shorter. */
const MAX_OVERLAP_MS = 7 * DAY_MS;

/** Makes, or takes, a new secret; what verified until now goes on verifying for the overlap. */
export async function rotateWebhookSecret(
  deps: IntegrationServiceDeps,
  principal: Principal,
  input: RotateWebhookSecretInput,
): Promise<RotateWebhookSecretPayload> {
  const { db, vault, clock } = deps;
  const refusal = writeRefusal(principal);
  if (refusal !== null) return failed(refusal);
  const before = await findIntegration(db, principal, input.integrationId);
  if (before === null) return failed(notFound('integration', ['integrationId']));
  const profile = asProfile(before.signature_profile);
  if (profile === null) {
    return failed(userError('NOT_SUPPORTED', 'This platform does not send webhooks.', ['integrationId']));
  }
  const overlap = input.overlap ?? DEFAULT_OVERLAP_MS;
  if (!(overlap >= 0 && overlap <= MAX_OVERLAP_MS)) {
    return failed(userError('INVALID', 'The overlap is at most P7D.', ['overlap']));
  }
  const given = input.secret ?? null;
  const problem = given === null ? null : webhookSecretProblem(profile, given);
  if (problem !== null) return failed(userError('INVALID', problem, ['secret']));

  const now = clock.now();
  const previousValidUntil = await db.write(async (tx) => {
    const until = await endWebhookSecrets(tx, before.id, now + overlap, now);
    await storeWebhookSecret(tx, vault, before.id, given ?? makeWebhookSecret(profile), now);
    await tx.updateTable('integrations').set({ updated_at: now }).where('id', '=', before.id).execute();
    return until;
  });
  db.doorbell.ring(`integration:${before.id}`);
  // A platform that was told the old secret by its API is told the new one the same way.
  if (before.webhook_native_id !== null) await registerWebhook(deps, before.id);
  const secret = given === null ? await readWebhookSecret(db, vault, before.id) : null;
  const webhook = await findIntegration(db, principal, before.id);
  return { webhook, newSecretOnce: secret, previousValidUntil, userErrors: [] };
}

function failed(error: UserError): RotateWebhookSecretPayload {
  return { webhook: null, newSecretOnce: null, previousValidUntil: null, userErrors: [error] };
}
