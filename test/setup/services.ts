import { once } from 'node:events';
import { createServer } from 'node:net';
import type { TestProject } from 'vitest/node';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Port on loopback that answers every connection with `{ "url" }` or `{ "error" }`. */
    postgresBroker: number;
  }
}

/**
 * Tests run in processes of their own and few need PostgreSQL: the first that asks has it started, the others get the
 * same one.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  let server: Promise<PostgresServer> | undefined;
  const broker = createServer((socket) => {
    socket.on('error', () => {});
    server ??= startPostgres();
    server.then(
      ({ url }) => socket.end(JSON.stringify({ url })),
      (error: unknown) => socket.end(JSON.stringify({ error: error instanceof Error ? error.message : 'unknown' })),
    );
  });
  broker.listen(0, '127.0.0.1');
  await once(broker, 'listening');
  const address = broker.address();
  if (address === null || typeof address === 'string') throw new Error('the broker of test services has no port');
  project.provide('postgresBroker', address.port);

  return async () => {
    broker.close();
    // One that did not start has said so in the tests.
    await server?.then(
      (running) => running.stop(),
      () => {},
    );
  };
}
