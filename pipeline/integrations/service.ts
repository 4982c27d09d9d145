import type { Principal } from '../../schema/principal.ts';
import type {
  BindSiteInput,
  BindSitePayload,
  CreateIntegrationInput,
  DeletePayload,
  IntegrationInput,
  IntegrationPayload,
  RotateWebhookSecretInput,
  RotateWebhookSecretPayload,
  TestIntegrationPayload,
  UnbindSiteInput,
  UpdateIntegrationInput,
  VendorSiteItem,
} from './payloads.ts';

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
  /**
   * The platform's sites, asked now. A principal that is limited to sites gets those that are bound to its sites.
   *
   * @throws GraphQLError FORBIDDEN without `inventory:read`, BAD_USER_INPUT for an integration outside of its scope,
   *   PLATFORM_* with `integrationId` when the platform does not answer
   */
  vendorSites(principal: Principal, integrationId: string): Promise<readonly VendorSiteItem[]>;
}
