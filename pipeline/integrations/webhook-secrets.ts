import { randomBytes } from 'node:crypto';
import { type SignatureProfile, SIGNATURE_PROFILES } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { newId } from '../../storage/ids.ts';
import type { SecretRow } from '../../storage/rows.ts';
import type { Vault } from '../../storage/vault.ts';
import { MAX_SECRETS } from '../signatures/verifier.ts';

/** As many as the hash has; the specification takes 24 to 64. */
const SECRET_BYTES = 32;
const MIN_BYTES = 24;
const MAX_BYTES = 64;
/** Longest secret that is not Base64: whatever a vendor's portal makes. */
const MAX_TEXT = 200;
const STANDARD_PREFIX = 'whsec_';
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/**
 * What stands in a path as it is. Whether a platform encodes anything else, and how, is its own affair: we would refuse
 * deliveries for a slash or a percent sign in a secret, and nobody would see why.
 *
 * @see RFC 3986, section 2.3, "Unreserved Characters"
 */
const PATH_CHARACTERS = /^[A-Za-z0-9._~-]+$/;
/** Shown of a secret, so that two can be told apart. */
const HINT_CHARACTERS = 4;

const PURPOSE = 'webhook';

/** A new secret in the form that a profile's users expect. */
export function makeWebhookSecret(profile: SignatureProfile): string {
  const bytes = randomBytes(SECRET_BYTES);
  return profile === 'STANDARD_WEBHOOKS' ? STANDARD_PREFIX + bytes.toString('base64') : bytes.toString('base64url');
}

/** @returns what is wrong with a secret that a vendor gave, or null */
export function webhookSecretProblem(profile: SignatureProfile, secret: string): string | null {
  if (profile === 'STANDARD_WEBHOOKS') {
    const encoded = secret.startsWith(STANDARD_PREFIX) ? secret.slice(STANDARD_PREFIX.length) : secret;
    const length = BASE64.test(encoded) ? Buffer.from(encoded, 'base64').length : 0;
    const isSound = length >= MIN_BYTES && length <= MAX_BYTES;
    return isSound
      ? null
      : `A Standard Webhooks secret is ${MIN_BYTES} to ${MAX_BYTES} bytes in Base64, after "whsec_".`;
  }
  if (profile === 'PATH_SECRET' && !PATH_CHARACTERS.test(secret))
    return 'A secret that stands in a path has letters, digits, and . _ ~ - only.';
  const length = Buffer.byteLength(secret);
  return length >= MIN_BYTES && length <= MAX_TEXT && !secret.includes('\0')
    ? null
    : `A webhook secret has ${MIN_BYTES} to ${MAX_TEXT} bytes.`;
}

export function asProfile(name: string | null): SignatureProfile | null {
  return SIGNATURE_PROFILES.find((profile) => profile === name) ?? null;
}

/** Seals a secret that verifies from now on. In the caller's transaction. @returns its id */
export async function storeWebhookSecret(
  tx: Tx,
  vault: Vault,
  integrationId: string,
  secret: string,
  now: number,
): Promise<string> {
  const id = newId('sec');
  await tx
    .insertInto('secrets')
    .values({
      id,
      integration_id: integrationId,
      purpose: PURPOSE,
      sealed: vault.seal(secret, { integrationId, purpose: PURPOSE, id }),
      hint: secret.slice(-HINT_CHARACTERS),
      created_at: now,
      expires_at: null,
      last_used_at: null,
    })
    .execute();
  return id;
}

/** Puts the secret that a platform made in the place of the one that we offered it. */
export async function replaceWebhookSecret(
  tx: Tx,
  vault: Vault,
  integrationId: string,
  secret: string,
  now: number,
): Promise<void> {
  await tx
    .deleteFrom('secrets')
    .where('integration_id', '=', integrationId)
    .where('purpose', '=', PURPOSE)
    .where('expires_at', 'is', null)
    .execute();
  await storeWebhookSecret(tx, vault, integrationId, secret, now);
}

/**
 * Ends the secrets of before: at `until`, or when they end anyway. What has ended is deleted, and so are the oldest
 * beyond what a verifier looks at.
 *
 * @returns until when the newest of them verifies; null when there is none
 */
export async function endWebhookSecrets(
  tx: Tx,
  integrationId: string,
  until: number,
  now: number,
): Promise<number | null> {
  const secrets = await tx
    .selectFrom('secrets')
    .select(['id', 'expires_at'])
    .where('integration_id', '=', integrationId)
    .where('purpose', '=', PURPOSE)
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute();
  const ends = secrets.map(({ id, expires_at: end }) => ({ id, end: Math.min(end ?? until, until) }));
  const kept = ends.filter(({ end }) => end > now).slice(0, MAX_SECRETS - 1);
  const gone = ends.filter((secret) => !kept.includes(secret)).map(({ id }) => id);
  if (gone.length > 0) await tx.deleteFrom('secrets').where('id', 'in', gone).execute();
  for (const { id, end } of kept) {
    await tx.updateTable('secrets').set({ expires_at: end }).where('id', '=', id).execute();
  }
  return kept.length === 0 ? null : Math.max(...kept.map(({ end }) => end));
}

/** The newest secret, opened; null when there is none. @throws StorageError when it cannot be opened */
export async function readWebhookSecret(db: Database, vault: Vault, integrationId: string): Promise<string | null> {
  const row: Pick<SecretRow, 'id' | 'sealed'> | undefined = await db.read
    .selectFrom('secrets')
    .select(['id', 'sealed'])
    .where('integration_id', '=', integrationId)
    .where('purpose', '=', PURPOSE)
    .where('expires_at', 'is', null)
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
  return row === undefined ? null : vault.open(row.sealed, { integrationId, purpose: PURPOSE, id: row.id });
}
