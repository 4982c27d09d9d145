import type { Principal } from '../../schema/principal.ts';
import type { GraphRequest } from './engine.ts';
import type { PlanRun } from './execute-plan.ts';
import type { Generation } from './generation.ts';
import { Operation } from './operation.ts';
import type { RequestScope } from './request-scope.ts';
import { StreamGroup } from './stream-group.ts';
import type { AnswerError } from './transport.ts';
import type { Tree } from './tree.ts';

/** Each group has an upstream, an execution per item, and a serialization; more of them than this is not one process's work. */
const MAX_GROUPS = 10_000;

/** What a stream is sent into. It is called in the order of the stream and must not block: what it cannot send it must drop or end. */
export interface StreamSink {
  /**
   * One GraphQL response as JSON text. Members of one group get the very same string.
   *
   * @param cursor where to go on after it; null when the stream cannot be resumed
   */
  next(text: string, cursor: string | null): void;
  /** The stream cannot go on; nothing follows. */
  error(errors: readonly AnswerError[]): void;
  /** The stream has ended; nothing follows. */
  complete(): void;
  /** For sinks that take time. Absent: whatever is sent is gone. */
  readonly backlog?: Backlog;
}

/** What a subscriber has been sent and has not taken yet. */
export interface Backlog {
  bytes(): number;
  /** It takes nothing any more: end it, with the reason. */
  cut(): void;
}

/** What the hub has done so far. */
export interface StreamCounts {
  /** Items that were told, each once for its whole group. */
  items: number;
  /** Items that were executed and written: once for all groups that differ in their filters alone. */
  executed: number;
  /** Items that were handed to subscribers. */
  deliveries: number;
}

/** What the hub needs of the engine. */
export interface HubContext {
  generation(): Generation;
  accessOf(principal: Principal): string;
  runOf(
    from: Generation,
    caller: Pick<GraphRequest, 'principal' | 'requestId'>,
    scope: RequestScope,
    variables: Tree,
    root: Tree,
  ): PlanRun;
  onError(error: unknown, context: { readonly requestId: string | null; readonly service: string | null }): void;
  /** Wait before the n-th attempt in a row to open an interrupted stream again, in milliseconds. */
  retryDelayMs(attempt: number): number;
  /** A subscriber that takes nothing for so long, while a stream waits for it, is cut. */
  readonly stallMs: number;
  readonly counts: StreamCounts;
}

/** Lets subscribers that ask the same thing with the same access share one stream, one execution and one text per item. */
export class Hub {
  readonly #context: HubContext;
  /** Groups whose items are equal from the moment on at which they have reached the same cursor; the oldest first. */
  readonly #groups = new Map<string, StreamGroup[]>();
  #groupCount = 0;
  #singles = 0;

  constructor(context: HubContext) {
    this.#context = context;
  }

  get size(): { readonly groups: number; readonly subscribers: number } & Readonly<StreamCounts> {
    const groups = [...this.#groups.values()].flat();
    return {
      groups: groups.length,
      subscribers: groups.reduce((sum, group) => sum + group.size, 0),
      ...this.#context.counts,
    };
  }

  subscribe(request: GraphRequest, sink: StreamSink): () => void {
    const refuse = (errors: readonly AnswerError[]): (() => void) => {
      let isGone = false;
      queueMicrotask(() => {
        if (!isGone) sink.error(errors);
      });
      return () => {
        isGone = true;
      };
    };
    const generation = this.#context.generation();
    const operation = generation.prepare(request.document, request.operationName ?? null);
    if (!(operation instanceof Operation)) return refuse(operation.map((error) => error.toJSON()));
    if (operation.definition.operation !== 'subscription')
      return refuse([{ message: 'Only subscriptions can be subscribed to.' }]);
    const variables = operation.coerce(request.variables ?? {});
    if ('errors' in variables) return refuse(variables.errors.map((error) => error.toJSON()));
    if (request.signal.aborted) return () => undefined;

    const key = this.#keyOf(generation, operation, request, variables.coerced);
    const { resumption } = operation;
    const after = resumption === null ? null : (request.resumeAfter ?? resumption.initial(variables.coerced));
    const siblings = this.#groups.get(key) ?? [];
    let group = siblings.find((each) => each.accepts(after));
    if (group === undefined) {
      if (this.#groupCount >= MAX_GROUPS) {
        return refuse([{ message: 'Too many different streams are open.', extensions: { code: 'TOO_MANY_STREAMS' } }]);
      }
      group = new StreamGroup(this.#context, generation, operation, request, variables.coerced, after, {
        onDelivered: (delivered) => this.#mergeIfEqual(key, delivered),
        onClosed: (closed) => this.#forget(key, closed),
      });
      this.#groups.set(key, [...siblings, group]);
      this.#groupCount++;
    }
    const leave = group.join(sink);
    const leaveAndForget = (): void => {
      request.signal.removeEventListener('abort', leaveAndForget);
      leave();
    };
    request.signal.addEventListener('abort', leaveAndForget, { once: true });
    return leaveAndForget;
  }

  /** Moves every stream to the engine's new generation. Resolves when none works with the old one any more. */
  async reload(): Promise<void> {
    const generation = this.#context.generation();
    await Promise.all([...this.#groups.values()].flat().map((group) => group.reload(generation)));
  }

  close(): void {
    for (const group of [...this.#groups.values()].flat()) group.complete();
  }

  #keyOf(generation: Generation, operation: Operation, request: GraphRequest, variables: Tree): string {
    const { principal } = request;
    const access = this.#context.accessOf(principal);
    // A key that no other subscriber has.
    if (operation.isSingle) return `single ${(this.#singles += 1)}`;
    const who = operation.isPersonal ? `${principal.kind} ${principal.id}\n${access}` : access;
    const shared = operation.resumption?.withoutAfter(variables) ?? variables;
    return JSON.stringify([generation.textOf(request.document), request.operationName ?? null, shared, who]);
  }

  /** A group that has replayed its past and stands where an older one stands goes on as part of that one. */
  #mergeIfEqual(key: string, group: StreamGroup): void {
    const siblings = this.#groups.get(key) ?? [];
    if (siblings.length < 2) return;
    const twin = siblings.find((each) => each !== group && each.standsWith(group));
    if (twin === undefined) return;
    const [older, younger] = siblings.indexOf(twin) < siblings.indexOf(group) ? [twin, group] : [group, twin];
    younger.moveTo(older);
  }

  #forget(key: string, group: StreamGroup): void {
    this.#groupCount--;
    const others = (this.#groups.get(key) ?? []).filter((each) => each !== group);
    if (others.length === 0) this.#groups.delete(key);
    else this.#groups.set(key, others);
  }
}
