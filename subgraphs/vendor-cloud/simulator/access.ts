// How the simulated vendor's cloud lets callers in: the token minted from the key it handed over, its API key, or a token
// of its own token call.
import { generateKeyPair, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { importSPKI, jwtVerify } from 'jose';
import { uuidOf } from './random.ts';

const makeKeyPair = promisify(generateKeyPair);

/** The contract's limit: a longer life is refused. */
const MAX_LIFE_SECONDS = 3_600;
const CLOCK_TOLERANCE_SECONDS = 60;

export async function createKeys(): Promise<{ privateKeyPem: string; publicKeyPem: string }> {
  const { privateKey, publicKey } = await makeKeyPair('rsa', {
    modulusLength: 2_048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privateKeyPem: privateKey, publicKeyPem: publicKey };
}

export interface Access {
  readonly issuer: string;
  readonly apiKey: string;
  readonly oauth: { readonly clientId: string; readonly clientSecret: string; readonly accessToken: string };
  /** @param authorization the header */
  isLetIn(authorization: string | undefined): Promise<boolean>;
  isClient(clientId: string, clientSecret: string): boolean;
}

function isEqual(given: string, expected: string): boolean {
  const left = Buffer.from(given);
  const right = Buffer.from(expected);
  return left.length === right.length && timingSafeEqual(left, right);
}

export async function createAccess(
  seed: number,
  accountId: string,
  publicKeyPem: string,
  now: () => Date,
): Promise<Access> {
  const key = await importSPKI(publicKeyPem, 'RS256');
  const issuer = `convergraph:${accountId}`;
  const apiKey = `vck_${uuidOf(seed, 'api key').replaceAll('-', '')}`;
  const oauth = {
    clientId: `client-${accountId}`,
    clientSecret: uuidOf(seed, 'client secret'),
    accessToken: `vct_${uuidOf(seed, 'access token').replaceAll('-', '')}`,
  };

  async function isGoodJwt(token: string): Promise<boolean> {
    try {
      const { payload } = await jwtVerify(token, key, {
        issuer,
        algorithms: ['RS256'],
        requiredClaims: ['iss', 'iat', 'exp'],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: now(),
      });
      return (payload.exp ?? 0) - (payload.iat ?? 0) <= MAX_LIFE_SECONDS;
    } catch {
      return false;
    }
  }

  return {
    issuer,
    apiKey,
    oauth,
    async isLetIn(authorization) {
      const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
      if (token === undefined) return false;
      return isEqual(token, apiKey) || isEqual(token, oauth.accessToken) || (await isGoodJwt(token));
    },
    isClient: (clientId, clientSecret) =>
      isEqual(clientId, oauth.clientId) && isEqual(clientSecret, oauth.clientSecret),
  };
}
