import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { type WebSocket, WebSocketServer } from 'ws';
import { answerCalls } from './child.ts';
import { durableIntake } from './durable-intake.ts';
import { until } from './measure.ts';

// The least that a server can do: the same bytes, the same proof, the same broadcast, and nothing else.

let server: Server | null = null;
let sockets: WebSocketServer | null = null;

function listen(listener: RequestListener): Promise<number> {
  const made = createServer(listener);
  server = made;
  return new Promise((resolve) => {
    made.listen(0, '127.0.0.1', () => {
      const address = made.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

const topic = new Set<(item: object) => void>();

async function* itemsOfTopic(): AsyncGenerator<object, void, void> {
  const items: object[] = [];
  let wake = (): void => undefined;
  const push = (item: object): void => {
    items.push(item);
    wake();
  };
  topic.add(push);
  try {
    for (;;) {
      const item = items.shift();
      if (item !== undefined) yield item;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    topic.delete(push);
  }
}

const calls = {
  /** Answers every request with this text, once its body has arrived. */
  bytes(text: string): Promise<number> {
    const body = Buffer.from(text);
    return listen((request, response) => {
      request.on('data', () => undefined);
      request.on('end', () => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
      });
    });
  },

  /** Checks the HMAC of every body, and keeps nothing. */
  hmac(secret: string): Promise<number> {
    const key = createSecretKey(Buffer.from(secret));
    return listen((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const expected = createHmac('sha256', key).update(Buffer.concat(chunks)).digest();
        const offered = Buffer.from(String(request.headers['x-webhook-signature']).slice('sha256='.length), 'hex');
        const isAuthentic = offered.length === expected.length && timingSafeEqual(expected, offered);
        response.writeHead(isAuthentic ? 202 : 401, { 'content-length': 2 }).end('{}');
      });
    });
  },

  /** See durableIntake. */
  durable: (options: { readonly secret: string; readonly file: string }): Promise<number> =>
    listen(durableIntake(options)),

  /**
   * The same, and everything stored goes out as it came: to the WebSockets at the path of its site (`/<site_id>`), and to
   * those at `/all`.
   */
  async relay(options: { readonly secret: string; readonly file: string }): Promise<number> {
    const byPath = new Map<string, WebSocket[]>();
    const port = await listen(
      durableIntake(options, ({ site_id: site, timestamp }, body) => {
        const bytes = Buffer.from(JSON.stringify({ occurredAt: timestamp, body }));
        for (const path of [`/${site}`, '/all']) {
          for (const socket of byPath.get(path) ?? []) socket.send(bytes, { binary: false });
        }
      }),
    );
    sockets = new WebSocketServer({ server: server as Server, perMessageDeflate: false });
    sockets.on('connection', (socket, { url = '/' }) => {
      byPath.set(url, [...(byPath.get(url) ?? []), socket]);
      socket.send('{"type":"connection_ack"}');
    });
    return port;
  },

  /** Takes WebSockets, says hello to each, and waits to broadcast. */
  async sockets(): Promise<number> {
    const port = await listen((_, response) => response.end());
    sockets = new WebSocketServer({ server: server as Server, perMessageDeflate: false });
    sockets.on('connection', (socket) => socket.send('{"type":"connection_ack"}'));
    return port;
  },

  /** The usual server of graphql-ws: every subscriber has an execution and a text of his own for each item. */
  async graphqlWs(): Promise<number> {
    const port = await listen((_, response) => response.end());
    const schema = buildSchema(
      `type Query { x: Int } type Subscription { events(filter: String): Item! } type Item { cursor: String! event: Event! }
       type Event { id: ID! type: String! severity: String! occurredAt: String! receivedAt: String! summary: String! device: Device! }
       type Device { id: ID! name: String! site: Site! } type Site { id: ID! name: String! }`,
    );
    sockets = new WebSocketServer({ server: server as Server, path: '/graphql', perMessageDeflate: false });
    const roots = { subscription: { events: () => itemsOfTopic() } };
    useServer({ schema, roots }, sockets);
    return port;
  },

  /** Resolves when so many have subscribed to `graphqlWs`. */
  async subscribers(expected: number): Promise<void> {
    await until(`${expected} have subscribed`, () => (topic.size === expected ? true : null));
  },

  /** Gives an item to every subscriber of `graphqlWs`, `times` times. */
  async publish({ item, times }: { readonly item: object; readonly times: number }): Promise<void> {
    for (let time = 0; time < times; time++) {
      for (const push of topic) push({ events: item });
      await new Promise((resolve) => setImmediate(resolve));
    }
  },

  /** Sends the text to every client, `times` times, giving the sockets their turn in between. */
  async broadcast({ text, times }: { readonly text: string; readonly times: number }): Promise<void> {
    const clients: readonly WebSocket[] = [...(sockets?.clients ?? [])];
    const bytes = Buffer.from(text);
    for (let time = 0; time < times; time++) {
      for (const client of clients) client.send(bytes, { binary: false });
      await new Promise((resolve) => setImmediate(resolve));
    }
  },
};

export type BaselineCalls = typeof calls;

answerCalls(calls, () => {
  sockets?.close();
  server?.close();
  server?.closeAllConnections();
});
