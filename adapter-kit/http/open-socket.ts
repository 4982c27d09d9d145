import type { Socket } from 'node:net';
import { abandoned, AdapterError } from '../adapter-error.ts';
import type { GuardedConnector } from './connector.ts';

/**
 * Opens a connection to the host of a base URL without speaking HTTP on it. What may be connected to, and which certificate
 * is accepted, is judged as for every call of the client.
 *
 * @throws AdapterError as the client's calls do
 */
export function openSocket(baseUrl: URL, connector: GuardedConnector, signal: AbortSignal): Promise<Socket> {
  if (signal.aborted) return Promise.reject(abandoned(signal.reason));
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const abort = (): void => reject(abandoned(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  connector.connect(
    {
      hostname: baseUrl.hostname.replace(/^\[|\]$/g, ''),
      host: baseUrl.host,
      protocol: baseUrl.protocol,
      port: baseUrl.port === '' ? (baseUrl.protocol === 'https:' ? '443' : '80') : baseUrl.port,
    },
    (error, socket) => {
      signal.removeEventListener('abort', abort);
      if (error !== null)
        return reject(error instanceof AdapterError ? error : new AdapterError('UNREACHABLE', 'no connection'));
      // Stays for the life of the socket: an error that nobody listens for would end the process.
      socket.on('error', () => undefined);
      if (signal.aborted) socket.destroy();
      return resolve(socket);
    },
  );
  return promise;
}
