import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { AdapterError } from '../adapter-error.ts';
import type { AddressGuard } from '../network/address-guard.ts';
import { createGuardedConnector } from './connector.ts';

const stop: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of stop.splice(0)) await close();
});

async function listener(): Promise<{ port: string; received: () => number }> {
  let received = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => (received += chunk.length));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stop.push(async () => {
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  return { port: String(typeof address === 'object' ? address?.port : ''), received: () => received };
}

/** A guard whose first two checks were talked round, so that only the peer of the open socket is left to judge. */
const deceived: AddressGuard = {
  checkUrl: () => undefined,
  checkAddress: (address) => {
    throw new AdapterError('BLOCKED_ADDRESS', `the address ${address} is closed to us`);
  },
  lookup: (_, options, done) =>
    options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
};

describe('guarded connector', () => {
  it.each(['127.0.0.1', 'rebind.test'])(
    'judges the peer of the open socket too, before a byte goes to %s',
    async (hostname) => {
      const { port, received } = await listener();
      const connector = createGuardedConnector(deceived);
      const { promise, resolve } = Promise.withResolvers<Error | null>();
      connector.connect({ hostname, protocol: 'http:', port }, (...[error]) => resolve(error));
      expect(await promise).toMatchObject({ code: 'BLOCKED_ADDRESS' });
      expect([received(), connector.hasConnected()]).toEqual([0, false]);
    },
  );
});
