import type { Kysely } from 'kysely';
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Credentials } from '../../adapter-kit/define-vendor.ts';
import type { Tx } from '../../storage/database.ts';
import { newId } from '../../storage/ids.ts';
import type { Tables } from '../../storage/tables.ts';
import type { Vault } from '../../storage/vault.ts';
import type { CredentialsInput } from './payloads.ts';

/** Longest secret taken: a PEM of a 16,384-bit key is below. */
const MAX_SECRET = 20_000;
const MAX_WORD = 1_000;
/** Tokens that live longer than an hour are refused by the contract; shorter ones than half a minute die on the way. */
const TTL_SECONDS = { min: 30, max: 3_600, default: 300 };

const word = z.string().min(1).max(MAX_WORD);
const secret = z.string().min(1).max(MAX_SECRET);

const StoredCredentials = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('apiKey'), apiKey: secret }),
  z.object({ kind: z.literal('basic'), username: word, password: secret }),
  z.object({ kind: z.literal('oauthClient'), clientId: word, clientSecret: secret, tokenUrl: z.url() }),
  z.object({
    kind: z.literal('signedJwt'),
    issuer: word,
    privateKeyPem: secret,
    ttlSeconds: z.int().min(TTL_SECONDS.min).max(TTL_SECONDS.max),
  }),
]);

/** Credentials as typed, or the input field that is wrong and why. */
export type CredentialsParse =
  | { readonly credentials: Credentials }
  | { readonly path: string[]; readonly message: string };

/** What an operator typed as the one kind of credentials it is. Never repeats a value in what it says. */
export function parseCredentials(input: CredentialsInput): CredentialsParse {
  const given = Object.entries(input).filter(([, value]) => value !== null && value !== undefined);
  const [first] = given;
  if (first === undefined || given.length !== 1) {
    return { path: ['credentials'], message: 'Give exactly one kind of credentials.' };
  }
  const parsed = StoredCredentials.safeParse(candidate(input));
  if (parsed.success) return { credentials: parsed.data };
  const member = parsed.error.issues[0]?.path.map(String) ?? [];
  const path = first[0] === 'apiKey' ? ['credentials', 'apiKey'] : ['credentials', first[0], ...member];
  return { path, message: 'This value is missing, too long or out of range.' };
}

function candidate({ apiKey, basic, oauthClient, signedJwt }: CredentialsInput): unknown {
  if (typeof apiKey === 'string') return { kind: 'apiKey', apiKey };
  if (basic) return { kind: 'basic', ...basic };
  if (oauthClient) return { kind: 'oauthClient', ...oauthClient, tokenUrl: oauthClient.tokenUrl.href };
  return { kind: 'signedJwt', ...signedJwt, ttlSeconds: signedJwt?.ttlSeconds ?? TTL_SECONDS.default };
}

const PURPOSE = 'credentials';

/** Seals credentials in place of those before. In the caller's transaction. */
export async function storeCredentials(
  tx: Tx,
  vault: Vault,
  integrationId: string,
  credentials: Credentials,
  now: number,
): Promise<void> {
  await tx.deleteFrom('secrets').where('integration_id', '=', integrationId).where('purpose', '=', PURPOSE).execute();
  const id = newId('sec');
  await tx
    .insertInto('secrets')
    .values({
      id,
      integration_id: integrationId,
      purpose: PURPOSE,
      sealed: vault.seal(JSON.stringify(credentials), { integrationId, purpose: PURPOSE, id }),
      // Not even the end of a password is shown.
      hint: credentials.kind,
      created_at: now,
      expires_at: null,
      last_used_at: null,
    })
    .execute();
}

/** @returns null when the integration has none @throws AdapterError MISCONFIGURED when they cannot be opened */
export async function readCredentials(
  read: Pick<Kysely<Tables>, 'selectFrom'>,
  vault: Vault,
  integrationId: string,
): Promise<Credentials | null> {
  const row = await read
    .selectFrom('secrets')
    .select(['id', 'sealed'])
    .where('integration_id', '=', integrationId)
    .where('purpose', '=', PURPOSE)
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
  if (row === undefined) return null;
  try {
    return StoredCredentials.parse(JSON.parse(vault.open(row.sealed, { integrationId, purpose: PURPOSE, id: row.id })));
  } catch (error) {
    throw new AdapterError('MISCONFIGURED', 'The stored credentials cannot be opened with the current master key', {
      cause: error,
    });
  }
}
