import { rootCertificates, TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';
import { buildConnector } from 'undici';
import { AdapterError, type AdapterErrorLayer } from '../adapter-error.ts';
import type { AddressGuard } from '../network/address-guard.ts';
import type { TlsPolicy } from './http-client.ts';

/** Longer than any deadline of a live read; ends what the request that opened it no longer waits for. */
const CONNECT_TIMEOUT_MS = 10_000;

const DNS_CODES: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME']);

function codeOf(error: Error): string {
  // Happy eyeballs: one error per address tried; the first is the one that people recognise.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (first instanceof Error && 'code' in first && typeof first.code === 'string') return first.code;
  return error.name;
}

function connectFailure(error: Error, hasTcp: boolean): AdapterError {
  if (error instanceof AdapterError) return error;
  const code = codeOf(error);
  const layer: AdapterErrorLayer = DNS_CODES.has(code) ? 'dns' : hasTcp ? 'tls' : 'tcp';
  const what = { dns: 'the name was not found', tcp: 'no connection', tls: 'no TLS', http: 'no answer' }[layer];
  return new AdapterError('UNREACHABLE', `${what} (${code})`, { cause: error, layer });
}

/** @returns upper-case hex pairs, as Node prints fingerprints @throws AdapterError MISCONFIGURED */
function parseFingerprint(text: string): string {
  const digits = text.replaceAll(/[\s:]/g, '').toUpperCase();
  if (!/^[0-9A-F]{64}$/.test(digits))
    throw new AdapterError('MISCONFIGURED', 'a pinned fingerprint is the SHA-256 of a certificate in 64 hex digits');
  return (digits.match(/../g) ?? []).join(':');
}

export interface GuardedConnector {
  readonly connect: buildConnector.connector;
  /** Whether any connection was ever made: tells a deadline that passed while connecting from one that passed later. */
  readonly hasConnected: () => boolean;
}

/**
 * Opens connections for one HTTP client: only to addresses that the guard allows, judged on the URL's literal, on the
 * name's answers (the socket goes to a checked answer, so a second lookup cannot change it) and on the peer of the open
 * socket; and only to the certificate that the TLS policy accepts.
 *
 * @throws AdapterError MISCONFIGURED for a fingerprint that is none
 */
export function createGuardedConnector(guard: AddressGuard, tls: TlsPolicy = {}): GuardedConnector {
  const pinned = tls.pinnedFingerprint === undefined ? null : parseFingerprint(tls.pinnedFingerprint);
  const open = buildConnector({
    lookup: guard.lookup,
    timeout: CONNECT_TIMEOUT_MS,
    // A resumed session shows no certificate to compare with the pin.
    maxCachedSessions: 0,
    ...(tls.ca === undefined ? {} : { ca: [...rootCertificates, tls.ca] }),
    // With a pin the chain says nothing: the one certificate is compared below, before a byte is sent.
    ...(pinned === null ? {} : { rejectUnauthorized: false }),
  });
  let hasConnected = false;

  function check(socket: Socket | TLSSocket): void {
    if (socket.remoteAddress === undefined)
      throw new AdapterError('UNREACHABLE', 'the connection closed at once', { layer: 'tcp' });
    guard.checkAddress(socket.remoteAddress);
    if (pinned === null) return;
    const fingerprint = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.fingerprint256 : undefined;
    if (fingerprint !== pinned)
      throw new AdapterError('UNREACHABLE', 'the certificate is not the pinned one', { layer: 'tls' });
  }

  return {
    hasConnected: () => hasConnected,
    connect(options, callback) {
      try {
        guard.checkUrl(new URL(`${options.protocol}//${hostText(options.hostname)}:${options.port || ''}`));
      } catch (error) {
        callback(error instanceof Error ? error : new AdapterError('BLOCKED_ADDRESS', 'not a host'), null);
        return;
      }
      let hasTcp = false;
      // The connector returns the socket, which its types leave out; `lookup` answers later, so nothing is missed.
      const socket: unknown = open(options, (error, connected) => {
        if (error !== null) return callback(connectFailure(error, hasTcp), null);
        try {
          check(connected);
        } catch (refused) {
          connected.destroy();
          return callback(connectFailure(refused instanceof Error ? refused : new Error('refused'), true), null);
        }
        hasConnected = true;
        return callback(null, connected);
      });
      if (socket instanceof TLSSocket) socket.once('connect', () => (hasTcp = true));
    },
  };
}

function hostText(hostname: string): string {
  return hostname.includes(':') ? `[${hostname}]` : hostname;
}
