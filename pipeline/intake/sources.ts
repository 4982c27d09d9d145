import type { Logger } from 'pino';
import { SIGNATURE_PROFILES, type SignatureProfile } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import type { SecretRow } from '../../storage/rows.ts';
import type { Vault } from '../../storage/vault.ts';
import { createVerifier, MAX_SECRETS, signingKey, type Verifier, type WebhookSecret } from '../signatures/verifier.ts';

/** An integration as the webhook edge needs it. */
export interface WebhookSource {
  readonly integrationId: string;
  readonly orgId: string;
  /** The vendor's slug. */
  readonly vendor: string;
  readonly isEnabled: boolean;
  /** Null: this integration takes no webhooks. */
  readonly verifier: Verifier | null;
  /** The path alone proves the sender: no body is needed for it. */
  readonly isProvenByPath: boolean;
  /** Null where `verifier` is. */
  readonly profile: SignatureProfile | null;
  /** How far the sender's clock may be from ours, either way. */
  readonly toleranceSeconds: number;
}

export interface WebhookSources {
  /** @returns null for an integration that does not exist; at once when it was looked up within MAX_AGE_MS */
  get(integrationId: string): WebhookSource | null | Promise<WebhookSource | null>;
  close(): void;
}

/** A revoked secret must stop counting within a second in every process, also where no ring is heard. */
const MAX_AGE_MS = 1_000;
/** Ids that were asked for, known or not: whoever guesses ids must not fill our memory. */
const MAX_ENTRIES = 10_000;
const INTEGRATION_ID = /^[\w-]{1,64}$/;

interface Entry {
  source: WebhookSource | null;
  readAt: number;
  reading: Promise<WebhookSource | null> | null;
}

export interface WebhookSourcesDeps {
  readonly db: Database;
  readonly vault: Vault;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Integrations with their secrets opened and their keys built, kept for a second and no longer than until a ring. */
export function createWebhookSources({ db, vault, logger, now }: WebhookSourcesDeps): WebhookSources {
  const entries = new Map<string, Entry>();
  // Opening a secret costs more than reading it: an opened one is kept while its row is the same.
  const opened = new Map<
    string,
    { readonly sealed: Buffer; readonly secret: WebhookSecret; readonly profile: string }
  >();

  function open(profile: (typeof SIGNATURE_PROFILES)[number], row: SecretRow): WebhookSecret[] {
    const before = opened.get(row.id);
    if (before?.profile === profile && before.secret.expiresAt === row.expires_at && before.sealed.equals(row.sealed)) {
      return [before.secret];
    }
    try {
      const text = vault.open(row.sealed, { integrationId: row.integration_id, purpose: row.purpose, id: row.id });
      const secret = { id: row.id, key: signingKey(profile, text), expiresAt: row.expires_at };
      if (opened.size >= MAX_ENTRIES) opened.clear();
      opened.set(row.id, { sealed: Buffer.from(row.sealed), secret, profile });
      return [secret];
    } catch (error) {
      logger.error({ err: error, integrationId: row.integration_id }, 'A webhook secret cannot be opened');
      return [];
    }
  }

  async function read(integrationId: string): Promise<WebhookSource | null> {
    const integration = await db.read
      .selectFrom('integrations')
      .select(['id', 'org_id', 'vendor', 'enabled', 'signature_profile', 'tolerance_seconds'])
      .where('id', '=', integrationId)
      .executeTakeFirst();
    if (integration === undefined) return null;
    const profile = SIGNATURE_PROFILES.find((name) => name === integration.signature_profile);
    const rows =
      profile === undefined
        ? []
        : await db.read
            .selectFrom('secrets')
            .selectAll()
            .where('integration_id', '=', integrationId)
            .where('purpose', '=', 'webhook')
            .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now())]))
            .orderBy('created_at', 'desc')
            .limit(MAX_SECRETS)
            .execute();
    return {
      integrationId,
      orgId: integration.org_id,
      vendor: integration.vendor,
      isEnabled: integration.enabled === 1,
      isProvenByPath: profile === 'PATH_SECRET',
      profile: profile ?? null,
      toleranceSeconds: integration.tolerance_seconds,
      verifier:
        profile === undefined
          ? null
          : createVerifier(
              profile,
              rows.flatMap((row) => open(profile, row)),
              integration.tolerance_seconds,
            ),
    };
  }

  function refresh(integrationId: string, before: Entry | undefined): Promise<WebhookSource | null> {
    if (before?.reading) return before.reading;
    if (before === undefined && entries.size >= MAX_ENTRIES) {
      const [oldest] = entries.keys();
      if (oldest !== undefined) entries.delete(oldest);
    }
    const entry: Entry = { source: null, readAt: Number.NEGATIVE_INFINITY, reading: null };
    const startedAt = now();
    entry.reading = read(integrationId).then(
      (source) => {
        entry.source = source;
        entry.readAt = startedAt;
        entry.reading = null;
        return source;
      },
      (error: unknown) => {
        if (entries.get(integrationId) === entry) entries.delete(integrationId);
        throw error;
      },
    );
    entries.delete(integrationId);
    entries.set(integrationId, entry);
    return entry.reading;
  }

  const stopListening = db.doorbell.on('*', (topic) => {
    // A read that is under way may have seen the row of before: its entry goes too.
    if (topic.startsWith('integration:')) entries.delete(topic.slice('integration:'.length));
  });

  return {
    get(integrationId) {
      if (!INTEGRATION_ID.test(integrationId)) return null;
      const entry = entries.get(integrationId);
      if (entry !== undefined && entry.reading === null) {
        const age = now() - entry.readAt;
        // A clock that was set back must not keep a revoked secret alive.
        if (age >= 0 && age < MAX_AGE_MS) return entry.source;
      }
      return refresh(integrationId, entry);
    },
    close: stopListening,
  };
}
