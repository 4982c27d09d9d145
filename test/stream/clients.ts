import { type IncomingMessage, request } from 'node:http';
import { WebSocket } from 'ws';

// Clients that say and hear the protocols by hand: a library that came back by itself would hide what is tested.

/** How a connection ended, as its client sees it. */
export interface Ending {
  /** The WebSocket's code; null with server-sent events. */
  readonly code: number | null;
  readonly reason: string;
}

export interface Subscriber {
  /** Data of the items so far, and errors. */
  readonly items: readonly unknown[];
  readonly ended: Ending | null;
  /** Resolves when `isTrue` of what has come; throws when the connection ends before. */
  until(isTrue: () => boolean): Promise<void>;
  untilEnded(): Promise<Ending>;
  /** Goes away without a word; nothing that arrives later is heard. */
  cut(): void;
  /** Takes nothing from the network until `resume`. */
  pause(): void;
  resume(): void;
}

export interface SubscribeOptions {
  readonly url: string;
  readonly token: string;
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called for each item, before those who wait hear of it. */
  readonly onItem?: (payload: never) => void;
}

class Base implements Subscriber {
  readonly items: unknown[] = [];
  ended: Ending | null = null;
  protected isCut = false;
  readonly #onItem: ((payload: never) => void) | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(onItem: ((payload: never) => void) | undefined) {
    this.#onItem = onItem;
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      if (this.ended !== null) throw new Error(`ended early: ${this.ended.code} ${this.ended.reason}`);
      await this.#change();
    }
  }

  async untilEnded(): Promise<Ending> {
    while (this.ended === null) await this.#change();
    return this.ended;
  }

  cut(): void {
    this.isCut = true;
  }
  pause(): void {}
  resume(): void {}

  protected take(payload: unknown): void {
    if (this.isCut) return;
    this.items.push(payload);
    this.#onItem?.(payload as never);
    this.#changed();
  }

  protected end(ending: Ending): void {
    this.ended ??= ending;
    this.#changed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #changed(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

class SocketSubscriber extends Base {
  readonly #socket: WebSocket;

  constructor({ url, token, query, variables, onItem }: SubscribeOptions) {
    super(onItem);
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const say = (message: object): void => this.#socket.send(JSON.stringify(message));
    this.#socket.on('open', () => say({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
    this.#socket.on('message', (data) => {
      const message = JSON.parse(Buffer.isBuffer(data) ? data.toString() : '');
      if (message.type === 'connection_ack') say({ type: 'subscribe', id: '1', payload: { query, variables } });
      else if (message.type === 'next') this.take(message.payload);
      else if (message.type === 'error') this.take({ errors: message.payload });
      else if (message.type === 'complete') this.end({ code: null, reason: 'complete' });
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', (code, reason) => this.end({ code, reason: String(reason) }));
  }

  override cut(): void {
    super.cut();
    this.#socket.terminate();
  }
  override pause(): void {
    this.#socket.pause();
  }
  override resume(): void {
    this.#socket.resume();
  }
}

/** One event of a stream of server-sent events. */
export interface ServerSentEvent {
  readonly event: string;
  readonly id: string | null;
  readonly data: string;
}

function parseEvents(text: string): { readonly events: readonly ServerSentEvent[]; readonly rest: string } {
  const blocks = text.split('\n\n');
  const rest = blocks.pop() ?? '';
  const events = blocks.flatMap((block) => {
    const fields = new Map(block.split('\n').map((line) => [line.split(':', 1)[0], line.replace(/^[^:]*: ?/, '')]));
    const event = fields.get('event');
    return event === undefined ? [] : [{ event, id: fields.get('id') ?? null, data: fields.get('data') ?? '' }];
  });
  return { events, rest };
}

/** Reads server-sent events of any address. */
export class EventSourceSubscriber extends Base {
  readonly events: ServerSentEvent[] = [];
  status = 0;
  #response: IncomingMessage | null = null;
  readonly #request: ReturnType<typeof request>;

  constructor(
    { url, token, onItem, headers = {} }: Omit<SubscribeOptions, 'query'>,
    path: string,
    body: string | null,
    toItem: (event: ServerSentEvent) => unknown,
  ) {
    super(onItem);
    this.#request = request(`${url}${path}`, {
      method: body === null ? 'GET' : 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'text/event-stream',
        ...(body === null ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    });
    this.#request.on('error', (error) => this.end({ code: null, reason: error.message }));
    this.#request.on('response', (response) => {
      this.#response = response;
      this.status = response.statusCode ?? 0;
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const { events, rest } = parseEvents(text + chunk);
        text = rest;
        for (const event of events) {
          if (this.isCut) return;
          this.events.push(event);
          if (event.event !== 'complete') this.take(toItem(event));
        }
      });
      response.on('error', (error) => this.end({ code: null, reason: error.message }));
      response.on('close', () => this.end({ code: null, reason: this.status === 200 ? 'closed' : text }));
    });
    this.#request.end(body ?? undefined);
  }

  override cut(): void {
    super.cut();
    this.#request.destroy();
  }
  override pause(): void {
    this.#response?.pause();
    this.#request.socket?.pause();
  }
  override resume(): void {
    this.#request.socket?.resume();
    this.#response?.resume();
  }
}

export function overWebSocket(options: SubscribeOptions): Subscriber {
  return new SocketSubscriber(options);
}

export function overServerSentEvents(options: SubscribeOptions): EventSourceSubscriber {
  const { query, variables } = options;
  return new EventSourceSubscriber(options, '/graphql', JSON.stringify({ query, variables }), ({ data }) =>
    JSON.parse(data),
  );
}

export const TRANSPORTS = [
  ['graphql-ws', overWebSocket],
  ['server-sent events', overServerSentEvents],
] as const;
