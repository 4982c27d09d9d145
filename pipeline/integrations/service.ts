import type { Principal } from '../../schema/principal.ts';
import { bindSite, unbindSite } from './bindings.ts';
import { createIntegration, testIntegration } from './create.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import type {
  BindSiteInput,
  BindSitePayload,
  CreateIntegrationInput,
  DeletePayload,
  IntegrationInput,
  IntegrationPayload,
  RotateWebhookSecretInput,
  RotateWebhookSecretPayload,
  SendTestWebhookInput,
  SendTestWebhookPayload,
  TestIntegrationPayload,
  UnbindSiteInput,
  UpdateIntegrationInput,
  VendorSiteItem,
} from './payloads.ts';
import { rotateWebhookSecret } from './rotate.ts';
import { sendTestWebhook } from './send-test.ts';
import { updateIntegration } from './update.ts';
import { vendorSites } from './vendor-sites.ts';

/**
 * What operators do with integrations. Every call checks the principal itself: without `integrations:write` (or
 * `admin`), and for a principal that is limited to sites, the answer is a FORBIDDEN user error; what lies outside of
 * its orgs is NOT_FOUND, like what does not exist. Business outcomes are `userErrors`; only faults of the system throw.
 */
export interface IntegrationService {
  /** Tries a credential step by step and stores nothing. */
  testIntegration(principal: Principal, input: IntegrationInput): Promise<TestIntegrationPayload>;
  /** Tests, stores, registers the webhook where the platform has an API for it, and asks for the first sync. */
  createIntegration(principal: Principal, input: CreateIntegrationInput): Promise<IntegrationPayload>;
  updateIntegration(principal: Principal, input: UpdateIntegrationInput): Promise<IntegrationPayload>;
  /** Ties a vendor's site to ours, moves the devices that are known from it, and replays what waited for it. */
  bindSite(principal: Principal, input: BindSiteInput): Promise<BindSitePayload>;
  unbindSite(principal: Principal, input: UnbindSiteInput): Promise<DeletePayload>;
  rotateWebhookSecret(principal: Principal, input: RotateWebhookSecretInput): Promise<RotateWebhookSecretPayload>;
  /** Sends a signed delivery through our own front door and follows it into the log. */
  sendTestWebhook(principal: Principal, input: SendTestWebhookInput): Promise<SendTestWebhookPayload>;
  /**
   * The platform's sites, asked now. A principal that is limited to sites gets those that are bound to its sites.
   *
   * @throws GraphQLError FORBIDDEN without `inventory:read`, BAD_USER_INPUT for an integration outside of its scope,
   *   PLATFORM_* with `integrationId` when the platform does not answer
   */
  vendorSites(principal: Principal, integrationId: string): Promise<readonly VendorSiteItem[]>;
}

export function createIntegrationService(deps: IntegrationServiceDeps): IntegrationService {
  // Repetitions at the same moment wait for the first, so that one platform is asked once and one secret is shown once.
  const creating = new Map<string, Promise<IntegrationPayload>>();
  return {
    testIntegration: (principal, input) => testIntegration(deps, principal, input),
    async createIntegration(principal, input) {
      const key = JSON.stringify([input.integration.orgId, input.idempotencyKey]);
      for (let first = creating.get(key); first !== undefined; first = creating.get(key)) {
        await first.catch(() => undefined);
      }
      const creation = createIntegration(deps, principal, input).finally(() => creating.delete(key));
      creating.set(key, creation);
      return creation;
    },
    updateIntegration: (principal, input) => updateIntegration(deps, principal, input),
    bindSite: (principal, input) => bindSite(deps, principal, input),
    unbindSite: (principal, input) => unbindSite(deps, principal, input),
    rotateWebhookSecret: (principal, input) => rotateWebhookSecret(deps, principal, input),
    sendTestWebhook: (principal, input) => sendTestWebhook(deps, principal, input),
    vendorSites: (principal, integrationId) => vendorSites(deps, principal, integrationId),
  };
}
