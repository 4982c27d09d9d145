import { once } from 'node:events';
import type { Server } from 'node:http';

/** @param port 0: any free one @returns the port on loopback */
export async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the simulator has no port');
  return address.port;
}

/**
 * The same port as last time if nobody asked for one: integrations remember the address.
 *
 * @param previous 0: there was no last time
 */
export async function listenAgain(server: Server, asked: number, previous: number): Promise<number> {
  if (asked !== 0 || previous === 0) return listen(server, asked);
  try {
    return await listen(server, previous);
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    if (!isTaken) throw error;
    return listen(server, 0);
  }
}

/** Cuts its connections; does nothing to a server that does not listen. */
export async function stop(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
