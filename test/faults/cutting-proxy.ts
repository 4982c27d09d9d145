import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy that can lose an answer: what was asked is done, and whoever asked never hears of it. */
export interface CuttingProxy {
  readonly port: number;
  /**
   * The next answer after a request that contains this text is dropped together with its connection.
   *
   * @param after only on a connection on which this text was sent before; default any
   */
  cutAnswerTo(text: string, after?: string): void;
  /** Answers that were dropped. */
  readonly cuts: number;
  close(): void;
}

export async function startCuttingProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let wanted: { readonly text: string; readonly after: string } | null = null;
  let cuts = 0;
  const server = createServer((client) => {
    const upstream = connect(target);
    let isDoomed = false;
    let isReady = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (data) => {
      isReady ||= wanted !== null && data.includes(wanted.after);
      if (wanted !== null && isReady && data.includes(wanted.text)) {
        isDoomed = true;
        wanted = null;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (!isDoomed) return void client.write(data);
      // An answer has come: it is done over there.
      cuts += 1;
      client.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cutAnswerTo(text, after = '') {
      wanted = { text, after };
    },
    get cuts() {
      return cuts;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
