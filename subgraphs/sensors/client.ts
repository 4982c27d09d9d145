// The way out: one guarded client per source, with the login that belongs to it.
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { AdapterOptions, Credentials } from '../../adapter-kit/define-vendor.ts';
import type { HttpClient } from '../../adapter-kit/http/http-client.ts';
import type { SensorsSettings, Source } from './settings.ts';

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** One login for each source, by its id. */
const KeyRing = z.record(z.string(), z.strictObject({ username: z.string().max(500), password: z.string().max(500) }));

/** Ports that the protocols are at when nobody says otherwise, plain and over TLS. */
const PORTS: Readonly<Record<Source['protocol'], readonly [number, number]>> = {
  mqtt: [1883, 8883],
  onvif: [80, 443],
  modbus: [502, 802],
  http: [80, 443],
};

export interface Connections {
  /** @throws AdapterError MISCONFIGURED, BLOCKED_ADDRESS */
  readonly clientOf: (source: Source) => HttpClient;
  /** @throws AdapterError MISCONFIGURED when it has no host */
  readonly urlOf: (source: Source) => URL;
  /** Whether the source has a host that can be asked: a sender that pushes needs none. */
  readonly hasHost: (source: Source) => boolean;
  /** Null for sources without one. @throws AdapterError MISCONFIGURED for a key ring that is none */
  readonly loginOf: (source: Source) => Login | null;
  close(): Promise<void>;
}

function parseKeyRing(text: string): Readonly<Record<string, Login>> {
  try {
    return KeyRing.parse(JSON.parse(text));
  } catch {
    // No cause: it would quote the secrets.
    throw new AdapterError(
      'MISCONFIGURED',
      'the API key is not a key ring: {"<source>": {"username": "…", "password": "…"}}',
    );
  }
}

function loginFrom(credentials: Credentials | null, source: Source): Login | null {
  // Modbus has no login, and nobody else's is to be shown to it.
  if (credentials === null || source.protocol === 'modbus') return null;
  if (credentials.kind === 'basic') {
    return credentials.username === '' ? null : { username: credentials.username, password: credentials.password };
  }
  if (credentials.kind !== 'apiKey')
    throw new AdapterError('MISCONFIGURED', 'sensors take user name and password, or a key ring');
  const ring = parseKeyRing(credentials.apiKey);
  return Object.hasOwn(ring, source.id) ? (ring[source.id] ?? null) : null;
}

export function createConnections(options: AdapterOptions<SensorsSettings>): Connections {
  const { baseUrl, credentials, settings, http } = options;
  const clients = new Map<string, HttpClient>();
  let isClosed = false;

  function urlOf(source: Source): URL {
    const isTls = source.tls ?? (source.host === undefined && baseUrl?.protocol === 'https:');
    const hostname = source.host ?? baseUrl?.hostname;
    if (hostname === undefined)
      throw new AdapterError('MISCONFIGURED', `the source "${source.id}" has no host, and the integration no address`);
    const inherited =
      source.host === undefined && baseUrl !== null && baseUrl.port !== '' ? Number(baseUrl.port) : null;
    const port = source.port ?? inherited ?? PORTS[source.protocol][isTls ? 1 : 0];
    const host = hostname.includes(':') && !hostname.startsWith('[') ? `[${hostname}]` : hostname;
    const url = URL.parse(`${isTls ? 'https' : 'http'}://${host}:${port}`);
    if (url === null) throw new AdapterError('MISCONFIGURED', `the host of the source "${source.id}" cannot be read`);
    return url;
  }

  return {
    urlOf,
    hasHost: (source) =>
      source.host !== undefined || (baseUrl !== null && (source.protocol !== 'http' || source.port !== undefined)),
    loginOf: (source) => loginFrom(credentials, source),
    clientOf(source) {
      if (isClosed) throw new AdapterError('UNREACHABLE', 'the adapter is closed');
      const known = clients.get(source.id);
      if (known !== undefined) return known;
      const made = http({
        baseUrl: urlOf(source),
        timeoutMs: settings.timeoutMs,
        ...(settings.tlsCa === undefined ? {} : { tls: { ca: settings.tlsCa } }),
      });
      clients.set(source.id, made);
      return made;
    },
    async close() {
      isClosed = true;
      await Promise.all([...clients.values()].map((client) => client.close()));
      clients.clear();
    },
  };
}
