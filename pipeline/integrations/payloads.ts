import type { ProbeCheck } from '../../adapter-kit/adapter.ts';
import type { IntegrationRow, SiteBindingRow, SiteRow } from '../../storage/rows.ts';
import type { SignatureProfile, UserError } from '../../schema/words.ts';

// What the integration service takes and gives: the API's inputs after coercion (instants and durations in
// milliseconds, addresses as URL) and its payloads with rows in place of objects.

type Maybe<T> = T | null | undefined;

/** How to log in to a platform: exactly one member. */
export interface CredentialsInput {
  readonly apiKey?: Maybe<string>;
  readonly basic?: Maybe<{ readonly username: string; readonly password: string }>;
  readonly oauthClient?: Maybe<{ readonly clientId: string; readonly clientSecret: string; readonly tokenUrl: URL }>;
  /** `ttlSeconds` 30 to 3600, default 300. */
  readonly signedJwt?: Maybe<{
    readonly issuer: string;
    readonly privateKeyPem: string;
    readonly ttlSeconds?: Maybe<number>;
  }>;
}

export interface IntegrationInput {
  readonly orgId: string;
  /** Value of the API's Vendor enum; rows keep the vendor's slug. */
  readonly vendor: string;
  readonly name: string;
  readonly baseUrl?: Maybe<URL>;
  readonly credentials?: Maybe<CredentialsInput>;
  readonly settings?: unknown;
  readonly signatureProfile?: Maybe<SignatureProfile>;
}

export interface CreateIntegrationInput {
  readonly integration: IntegrationInput;
  readonly idempotencyKey: string;
}

export interface UpdateIntegrationInput {
  readonly id: string;
  readonly name?: Maybe<string>;
  readonly credentials?: Maybe<CredentialsInput>;
  readonly settings?: unknown;
  readonly enabled?: Maybe<boolean>;
  readonly expectedVersion?: Maybe<number>;
}

export interface BindSiteInput {
  readonly integrationId: string;
  readonly vendorOrgId: string;
  readonly vendorSiteId: string;
  readonly siteId?: Maybe<string>;
  readonly createSite?: Maybe<boolean>;
}

export interface UnbindSiteInput {
  readonly id: string;
}

export interface RotateWebhookSecretInput {
  readonly integrationId: string;
  /** Milliseconds, default 24 h, at most 7 days. */
  readonly overlap?: Maybe<number>;
  readonly secret?: Maybe<string>;
}

export interface TestIntegrationPayload {
  readonly ok: boolean;
  readonly checks: ProbeCheck[];
  readonly accountName: string | null;
  readonly userErrors: UserError[];
}

export interface IntegrationPayload {
  readonly integration: IntegrationRow | null;
  readonly webhookSecretOnce: string | null;
  readonly userErrors: UserError[];
}

export interface BindSitePayload {
  readonly binding: SiteBindingRow | null;
  readonly userErrors: UserError[];
}

export interface DeletePayload {
  readonly deletedId: string | null;
  readonly userErrors: UserError[];
}

export interface RotateWebhookSecretPayload {
  /** The integration whose webhook it is. */
  readonly webhook: IntegrationRow | null;
  readonly newSecretOnce: string | null;
  /** Milliseconds since the epoch. */
  readonly previousValidUntil: number | null;
  readonly userErrors: UserError[];
}

/** A site as the platform knows it, and ours that it is bound to. */
export interface VendorSiteItem {
  readonly vendorOrgId: string;
  readonly vendorSiteId: string;
  readonly name: string;
  readonly address: string | null;
  readonly timezone: string | null;
  readonly deviceCount: number | null;
  readonly boundTo: SiteRow | null;
}

export interface SendTestWebhookInput {
  readonly integrationId: string;
  /** A name of the catalogue; default `system.test`. */
  readonly type?: string | null | undefined;
}

export interface SendTestWebhookPayload {
  /** Our front door answered. */
  readonly delivered: boolean;
  /** It took the delivery. */
  readonly accepted: boolean;
  /** In the log; null while it is not there. */
  readonly eventId: string | null;
  /** From sending to the answer. */
  readonly latencyMs: number | null;
  readonly diagnosis: string[];
  readonly userErrors: UserError[];
}
