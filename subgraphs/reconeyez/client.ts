/**
 * The reverse control API: two lists, Basic authentication, at most three calls at once. I/O only.
 *
 * @see Reconeyez "Reverse control API" (2024-02-27 and 2025-02-04)
 */
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Credentials } from '../../adapter-kit/define-vendor.ts';
import type { HttpClientFactory } from '../../adapter-kit/http/http-client.ts';
import { JsonGuardError, parseJson } from '../../adapter-kit/json-guard.ts';
import type { ReconeyezSettings } from './settings.ts';
import { parseDevices, type WireDevices, WireList } from './wire.ts';

/** The platform refuses the fourth call; the third place is left to a person's own tool. */
const MAX_CONCURRENT = 2;
/** After a 429, or an answer that did not come. */
const RETRIES = 3;
/** The list comes whole: about 150 bytes a device, so that this is 100,000 of them. */
const MAX_LIST_BYTES = 16 * 1_024 * 1_024;
const MAX_LIST_KEYS = 600_000;
/** The control API's own port; the rest of the cloud is on the usual one. */
const CONTROL_PORT = '9028';
const CLOUD_HOST = /(^|\.)reconeyez\.com$/i;

export interface ReconeyezClient {
  /** Any answer at all to a call without credentials: proves name, connection and TLS. */
  reach(signal: AbortSignal): Promise<void>;
  devices(signal: AbortSignal): Promise<WireDevices>;
  sirens(signal: AbortSignal): Promise<WireDevices>;
  close(): Promise<void>;
}

/** The address as it is called: the cloud's control API is not on the port that its web pages are on. */
export function controlAddress(baseUrl: URL): URL {
  const url = new URL(baseUrl);
  if (url.port === '' && CLOUD_HOST.test(url.hostname)) url.port = CONTROL_PORT;
  return url;
}

/** @throws AdapterError MISCONFIGURED without user and password */
function authorizationOf(credentials: Credentials | null): Readonly<Record<string, string>> {
  if (credentials?.kind !== 'basic') throw new AdapterError('MISCONFIGURED', 'a user and a password are needed');
  const pair = Buffer.from(`${credentials.username}:${credentials.password}`, 'utf8').toString('base64');
  return { authorization: `Basic ${pair}` };
}

/** The platform answers both with one word, so that we name both. */
function explained(error: unknown): unknown {
  if (!(error instanceof AdapterError) || error.code !== 'UNAUTHENTICATED') return error;
  const message = 'the platform refused the user: the password is wrong, or the user may not control devices';
  return new AdapterError('UNAUTHENTICATED', message, { cause: error, status: error.status, layer: error.layer });
}

export function createReconeyezClient(
  baseUrl: URL,
  http: HttpClientFactory,
  credentials: Credentials | null,
  settings: ReconeyezSettings,
): ReconeyezClient {
  const shared = {
    baseUrl: controlAddress(baseUrl),
    timeoutMs: settings.timeoutMs,
    tls: {
      ...(settings.tlsCa === undefined ? {} : { ca: settings.tlsCa }),
      ...(settings.tlsPinnedFingerprint === undefined ? {} : { pinnedFingerprint: settings.tlsPinnedFingerprint }),
    },
  };
  const client = http({
    ...shared,
    maxConcurrent: MAX_CONCURRENT,
    retries: RETRIES,
    maxResponseBytes: MAX_LIST_BYTES,
    headers: () => authorizationOf(credentials),
  });

  async function list(name: string, signal: AbortSignal): Promise<WireDevices> {
    const path = `${settings.controlPath}/${name}`;
    try {
      const { body } = await client.request({ path, signal });
      return parseDevices(WireList.parse(parseJson(body, { maxKeys: MAX_LIST_KEYS })));
    } catch (error) {
      if (error instanceof JsonGuardError)
        throw new AdapterError('BAD_PAYLOAD', `${name} answered what is not JSON for us: ${error.message}`);
      if (!(error instanceof AdapterError)) throw new AdapterError('BAD_PAYLOAD', `${name} did not answer with a list`);
      throw explained(error);
    }
  }

  return {
    async reach(signal) {
      const bare = http({ ...shared, retries: 0 });
      try {
        await bare.request({ path: `${settings.controlPath}/get_device_list`, signal });
      } catch (error) {
        // An answer of any status proves that the way is open.
        if (!(error instanceof AdapterError) || error.status === null) throw error;
      } finally {
        await bare.close();
      }
    },
    devices: (signal) => list('get_device_list', signal),
    sirens: (signal) => list('get_siren_list', signal),
    close: () => client.close(),
  };
}
