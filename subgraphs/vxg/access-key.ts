/**
 * The secret that an operator pastes: a license key of the account, or an access token of a group or a camera. Tokens are
 * Base64 of a JSON object that names the API they are for.
 *
 * @see "REST API", section "Authorization", of the vendor's help
 */
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';

export interface AccessKey {
  /** How much it opens: the account, a group of cameras, one camera. */
  readonly scheme: 'LKey' | 'SI' | 'Acc';
  /** Value of the `Authorization` header. */
  readonly header: string;
  /** The one camera of an `Acc` token. */
  readonly cameraId: string | null;
  /** The API that the token says it is for; null for license keys. */
  readonly host: string | null;
  /** May do more than watch; license keys and tokens that do not say may. */
  readonly isFull: boolean;
}

const TokenBody = z.object({
  camid: z.union([z.int(), z.string()]).nullish(),
  token: z.string().min(1),
  api: z.string().min(1).nullish(),
  access: z.string().nullish(),
});

/** Longer than any token seen. */
const MAX_LENGTH = 8_192;

function readToken(text: string): z.infer<typeof TokenBody> | null {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return null;
  try {
    const parsed = TokenBody.safeParse(JSON.parse(Buffer.from(text, 'base64').toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    // Not JSON, so no token: a license key.
    return null;
  }
}

/** @throws AdapterError MISCONFIGURED for what cannot go into a header */
export function parseAccessKey(pasted: string): AccessKey {
  const text = pasted.trim();
  if (text.length > MAX_LENGTH || !/^[\x21-\x7e]+$/.test(text))
    throw new AdapterError('MISCONFIGURED', 'this is neither a license key nor an access token');
  const token = readToken(text);
  if (token === null) return { scheme: 'LKey', header: `LKey ${text}`, cameraId: null, host: null, isFull: true };
  const cameraId = token.camid === null || token.camid === undefined ? null : String(token.camid);
  const scheme = cameraId === null ? 'SI' : 'Acc';
  const isFull = token.access !== 'watch';
  return { scheme, header: `${scheme} ${text}`, cameraId, host: token.api ?? null, isFull };
}

/**
 * Refuses a token for another installation: it was pasted by mistake, or to have us hand one installation's secrets to
 * another.
 *
 * @throws AdapterError MISCONFIGURED
 */
export function checkTokenHost(key: AccessKey, baseUrl: URL, allowed: readonly string[]): void {
  if (key.host === null) return;
  const host = URL.parse(`http://${key.host}`)?.hostname ?? '';
  if (host === baseUrl.hostname || allowed.some((name) => name.toLowerCase() === host)) return;
  throw new AdapterError('MISCONFIGURED', 'the access token is for another installation than the address says');
}
