import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { findEventType } from '../../schema/catalogue/event-types.ts';
import type { Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import { eventId } from '../../storage/ids.ts';
import { eventKeyOf, vendorEventIdentity } from '../process/event-key.ts';
import { encodeTestDelivery } from '../process/test-delivery.ts';
import { signDelivery } from '../signatures/sign.ts';
import { findIntegration, notFound, writeRefusal } from './access.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import type { SendTestWebhookInput, SendTestWebhookPayload } from './payloads.ts';
import { userError } from './user-errors.ts';
import { asProfile, readWebhookSecret } from './webhook-secrets.ts';

const DEFAULT_TYPE = 'system.test';

const Refused = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/**
 * Sends a signed delivery through our own front door, as the platform would, and follows it into the log. It makes one
 * event of no device, with severity INFO, and changes no state.
 */
export async function sendTestWebhook(
  deps: IntegrationServiceDeps,
  principal: Principal,
  { integrationId, type }: SendTestWebhookInput,
): Promise<SendTestWebhookPayload> {
  const { db, vault, clock, selfTest } = deps;
  const refusal = writeRefusal(principal);
  if (refusal !== null) return failed(refusal);
  const integration = await findIntegration(db, principal, integrationId);
  if (integration === null) return failed(notFound('integration', ['integrationId']));
  const profile = asProfile(integration.signature_profile);
  if (profile === null || selfTest === undefined) {
    return failed(userError('NOT_SUPPORTED', 'This integration takes no webhooks.', ['integrationId']));
  }
  const known = findEventType(type ?? DEFAULT_TYPE);
  if (known === null || known.name.includes('*')) {
    return failed(userError('INVALID', 'The catalogue has no such type.', ['type'], 'Query eventTypes lists them.'));
  }
  const secret = await readWebhookSecret(db, vault, integration.id);
  if (secret === null) {
    return failed(
      userError('CONFLICT', 'There is no current secret.', ['integrationId'], 'Make one with rotateWebhookSecret.'),
    );
  }
  const now = clock.now();
  const id = `test_${randomUUID()}`;
  const body = encodeTestDelivery(id, known.name, now);
  const signed = signDelivery(profile, secret, id, now, body);
  const startedAt = performance.now();
  const answer = await selfTest
    .post(
      `/webhooks/${integration.id}${signed.pathSuffix}`,
      { 'content-type': 'application/json', ...signed.headers },
      body,
    )
    .catch(() => null);
  const latencyMs = Math.round(performance.now() - startedAt);
  if (answer === null) {
    const diagnosis = ['Our own front door did not answer.'];
    return { delivered: false, accepted: false, eventId: null, latencyMs: null, diagnosis, userErrors: [] };
  }
  const outcome = { delivered: true, latencyMs, userErrors: [] };
  if (answer.status !== 200 && answer.status !== 202) {
    return { ...outcome, accepted: false, eventId: null, diagnosis: [reasonOf(answer)] };
  }
  await selfTest.process(integration.id);
  const key = eventKeyOf(vendorEventIdentity(integration.id, id), now);
  const event = await db.read.selectFrom('events').select('key').where('key', '=', key).executeTakeFirst();
  const waits = ['It was accepted and is not in the log yet: deliveries before it are still being processed.'];
  return {
    ...outcome,
    accepted: true,
    eventId: event === undefined ? null : eventId(event.key),
    diagnosis: event === undefined ? waits : [],
  };
}

function reasonOf({ status, text }: { readonly status: number; readonly text: string }): string {
  try {
    const { error } = Refused.parse(JSON.parse(text));
    return `${error.code}: ${error.message}`;
  } catch {
    return `It was answered with HTTP status ${status}.`;
  }
}

function failed(error: UserError): SendTestWebhookPayload {
  return { delivered: false, accepted: false, eventId: null, latencyMs: null, diagnosis: [], userErrors: [error] };
}
