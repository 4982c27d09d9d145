import { buildSubgraphSchema } from '@apollo/subgraph';
import { parse } from 'graphql';
import type { Subgraph, SubgraphRequest } from '../../../schema/subgraph.ts';
import { compose } from './supergraph.ts';

type Resolvers = Record<string, Record<string, unknown>>;

const LINK =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key", "@external", "@requires", "@shareable"])\n';

/** A subgraph from SDL and resolvers; its context is the request that reached it. */
export function tinySubgraph(name: string, sdl: string, resolvers: Resolvers = {}): Subgraph<SubgraphRequest> {
  const full = LINK + sdl;
  const schema = buildSubgraphSchema([{ typeDefs: parse(full), resolvers: resolvers as never }]);
  return { name, sdl: full, schema, createContext: (request) => request };
}

/** The supergraph of these. */
export function composed(subgraphs: readonly Subgraph[]): string {
  return compose(new Map(subgraphs.map(({ name, sdl }) => [name, sdl])));
}

/** Something that one waits for and another brings about, so that tests wait for events and not for time. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}

/** What a test publishes, as the stream of a subscription. Every stream gets what is published after it was opened. */
export class TestTopic<T> {
  readonly #streams = new Set<{ push(item: T): void; end(error: Error | null): void }>();
  readonly #waiting = new Set<() => void>();

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Resolves once so many streams are open. */
  async opened(count: number): Promise<void> {
    while (this.#streams.size !== count) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  publish(item: T): void {
    for (const stream of this.#streams) stream.push(item);
  }

  /** Ends every open stream; with an error as if it had broken. */
  end(error: Error | null = null): void {
    for (const stream of this.#streams) stream.end(error);
  }

  /** @param first items that come before everything published */
  open(first: readonly T[] = []): AsyncIterableIterator<T> {
    const items = [...first];
    let isEnded = false;
    let failure: Error | null = null;
    let wake = (): void => undefined;
    const stream = {
      push: (item: T) => {
        items.push(item);
        wake();
      },
      end: (error: Error | null) => {
        isEnded = true;
        failure = error;
        this.#close(stream);
        wake();
      },
    };
    this.#streams.add(stream);
    this.#changed();
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: async () => {
        for (;;) {
          const item = items.shift();
          if (item !== undefined) return { done: false, value: item };
          if (failure !== null) throw failure;
          if (isEnded) return { done: true, value: undefined };
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
      return: () => {
        stream.end(null);
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #close(stream: { push(item: T): void; end(error: Error | null): void }): void {
    this.#streams.delete(stream);
    this.#changed();
  }

  #changed(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

/** A sink that keeps what it is sent, and tells when so much has come. */
export class TestSink {
  readonly texts: string[] = [];
  readonly cursors: (string | null)[] = [];
  readonly errors: unknown[] = [];
  isComplete = false;
  readonly #waiting = new Set<() => void>();

  next(text: string, cursor: string | null): void {
    this.texts.push(text);
    this.cursors.push(cursor);
    this.#changed();
  }

  error(errors: readonly unknown[]): void {
    this.errors.push(...errors);
    this.#changed();
  }

  complete(): void {
    this.isComplete = true;
    this.#changed();
  }

  /** Items as data. */
  get items(): unknown[] {
    return this.texts.map((text) => (JSON.parse(text) as { data: unknown }).data);
  }

  /** Resolves once so many items have come. */
  async received(count: number): Promise<void> {
    while (this.texts.length < count) await this.#change();
  }

  /** Resolves once the stream is over. */
  async ended(): Promise<void> {
    while (!this.isComplete && this.errors.length === 0) await this.#change();
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
