import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { z } from 'zod';

const DOCUMENT = `subscription($after: String) {
  events(after: $after, filter: { includeSuppressed: true, includeMaintenance: true }, heartbeatSeconds: 5) {
    __typename
    ... on EventDelivered { cursor event { id } }
    ... on ReplayComplete { cursor }
    ... on StreamHeartbeat { cursor }
    ... on StreamGap { reason }
  }
}`;
const RECONNECT_MS = 100;

const Item = z.object({
  data: z.object({
    events: z.object({
      __typename: z.string(),
      cursor: z.string().optional(),
      event: z.object({ id: z.string() }).optional(),
    }),
  }),
});

/** One reader of the stream who is cut off again and again, and comes back with the last cursor. */
export interface Subscriber {
  readonly name: string;
  /** Ids of events in the order in which they came. */
  readonly received: readonly string[];
  readonly gaps: number;
  readonly connections: number;
  /** What was neither an item nor the end of a connection. */
  readonly surprises: readonly string[];
  /** Breaks the connection without a word. */
  cut(): void;
  close(): void;
}

export function startSubscriber(name: string, url: string, token: string, from: string): Subscriber {
  const received: string[] = [];
  const surprises: string[] = [];
  let cursor = from;
  let gaps = 0;
  let connections = 0;
  let socket: { terminate(): void } | null = null;
  let isClosed = false;

  function take(message: unknown): void {
    const item = Item.safeParse(message);
    if (!item.success) return void surprises.push(JSON.stringify(message));
    const { __typename: kind, cursor: place, event } = item.data.data.events;
    if (kind === 'StreamGap') gaps += 1;
    if (event !== undefined) received.push(event.id);
    cursor = place ?? cursor;
  }

  async function follow(): Promise<void> {
    while (!isClosed) {
      connections += 1;
      const client = createClient({
        url,
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        connectionParams: { authorization: `Bearer ${token}` },
        on: {
          opened: (opened) => {
            socket = opened instanceof WebSocket ? opened : null;
          },
        },
      });
      await new Promise<void>((resolve) => {
        client.subscribe(
          { query: DOCUMENT, variables: { after: cursor } },
          {
            next: take,
            complete: resolve,
            error(error) {
              // A list of errors is an answer to the operation; everything else ended the connection.
              if (Array.isArray(error)) surprises.push(JSON.stringify(error));
              resolve();
            },
          },
        );
      });
      await client.dispose();
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }
  void follow();

  return {
    name,
    received,
    surprises,
    get gaps() {
      return gaps;
    },
    get connections() {
      return connections;
    },
    cut: () => socket?.terminate(),
    close() {
      isClosed = true;
      socket?.terminate();
    },
  };
}
