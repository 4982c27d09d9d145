import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import { asAdapterError } from './user-errors.ts';
import { asProfile, readWebhookSecret, replaceWebhookSecret } from './webhook-secrets.ts';

/** A person waits for it at creation. */
const REGISTRATION_DEADLINE_MS = 10_000;

export type Registration = 'REGISTERED' | 'NOT_SUPPORTED' | 'FAILED';

/**
 * Tells a platform with a webhook API where to deliver and with which secret. Where the platform makes its own secret,
 * that one takes the place of ours. Safe to repeat.
 *
 * @returns FAILED when it should be tried again later; the platform is polled until then
 */
export async function registerWebhook(
  deps: Pick<IntegrationServiceDeps, 'db' | 'vault' | 'runtime' | 'clock' | 'logger' | 'webhookUrl'>,
  integrationId: string,
): Promise<Registration> {
  const { db, vault, runtime, clock, logger } = deps;
  const controller = new AbortController();
  const late = new AdapterError('TIMEOUT', 'The platform did not take the webhook in time');
  const cancel = clock.after(REGISTRATION_DEADLINE_MS, () => {
    controller.abort(late);
  });
  try {
    return await runtime.use(integrationId, async ({ adapter, vendor, integration }) => {
      const profile = asProfile(integration.signature_profile);
      if (!vendor.ingest.webhooks || profile === null || adapter.registerWebhook === undefined) return 'NOT_SUPPORTED';
      const secret = await readWebhookSecret(db, vault, integrationId);
      if (secret === null) return 'NOT_SUPPORTED';
      const url = deps.webhookUrl(integrationId);
      const target = { url: profile === 'PATH_SECRET' ? `${url}/${encodeURIComponent(secret)}` : url, profile, secret };
      const made = await adapter.registerWebhook(target, controller.signal);
      await db.write(async (tx) => {
        if (made.secret !== secret) await replaceWebhookSecret(tx, vault, integrationId, made.secret, clock.now());
        await tx
          .updateTable('integrations')
          .set({ webhook_native_id: made.nativeId })
          .where('id', '=', integrationId)
          .execute();
      });
      db.doorbell.ring(`integration:${integrationId}`);
      return 'REGISTERED';
    });
  } catch (error) {
    const { code, message } = asAdapterError(error);
    if (code === 'NOT_SUPPORTED') return 'NOT_SUPPORTED';
    logger.warn({ integrationId, code, reason: message }, 'The webhook could not be registered at the platform');
    return 'FAILED';
  } finally {
    cancel();
  }
}
