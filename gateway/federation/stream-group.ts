import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { withService } from './answer-errors.ts';
import { answerText } from './answer-text.ts';
import type { SubscriptionPlan } from './compile-plan.ts';
import type { GraphRequest } from './engine.ts';
import { createBatchedFetch } from './batched-fetch.ts';
import { acceptRoot, executePlan, type PlanRun } from './execute-plan.ts';
import type { Generation } from './generation.ts';
import type { HubContext, StreamSink } from './hub.ts';
import { Operation } from './operation.ts';
import { RequestScope } from './request-scope.ts';
import { textOf } from './shared-items.ts';
import { type AnswerError, type SubgraphResult, SubscriptionRefused, TransportError } from './transport.ts';
import { copyOf, isTree, type Tree } from './tree.ts';

/** What an item needs from other subgraphs has so long to come; then the item goes without it, and says so. */
const ITEM_DEADLINE_MS = 10_000;
const NEVER = new AbortController().signal;

/**
 * A source in this process may have many items ready and never wait. Sockets need their turn in between, or subscribers
 * that read would count as slow; a little longer than one item takes, so that a socket gets several at once.
 */
const TURN_MS = 10;

/**
 * When every subscriber of a stream has so many bytes waiting, the stream waits too: a replay is faster than any network.
 * One that is behind while others keep up is cut by its own bound instead.
 */
export const MAX_WAITING_BYTES = 262_144;
/** How often it is looked whether somebody has taken something, growing up to the second. */
const LOOK_EVERY_MS = 4;
const LOOK_SELDOM_MS = 100;

/** Items that may be made at once: what they ask for goes together, and so much text waits for its turn at most. */
const MAX_AHEAD = 64;

export interface StreamGroupEvents {
  onDelivered(group: StreamGroup): void;
  onClosed(group: StreamGroup): void;
}

/** What items are made with; replaced as a whole by a reload. */
interface Binding {
  readonly generation: Generation;
  readonly operation: Operation;
}

/** An item of the source, or a place, as it goes to the subscribers. */
export interface Made {
  /** Null: nothing is said. */
  readonly text: string | null;
  readonly cursor: string | null;
  readonly isItem: boolean;
  readonly isReplayComplete: boolean;
}

/** Why an upstream was left although it had not ended. */
type Interruption = 'CLOSED' | 'RELOADED' | 'LOST';

/** Subscribers of one stream: one upstream, one execution and one text per item. Ends when the last one leaves. */
export class StreamGroup {
  readonly #context: HubContext;
  readonly #request: GraphRequest;
  readonly #variables: Tree;
  readonly #events: StreamGroupEvents;
  readonly #after: string | null;
  readonly #members = new Map<symbol, StreamSink>();
  /** Tokens of members that were moved here from another group, and those that moved on from here. */
  #movedTo: StreamGroup | null = null;
  #binding: Binding;
  readonly #closed = new AbortController();
  #upstream: AbortController | null = null;
  #cursor: string | null = null;
  #delivered = 0;
  #isLive: boolean;
  /** Open the stream again after this cursor: what the client asked for is behind us. */
  #isResuming = false;
  /** Everything that was made so far has been told. */
  #delivering: Promise<void> = Promise.resolve();
  #turnedAt = 0;
  /** Groups whose keys are equal make the same of an item; null when nobody else can. */
  readonly #shareKey: string | null;
  #itemKey: { readonly binding: Binding; readonly key: string | null } | null = null;
  #fetching: { readonly binding: Binding; readonly fetch: PlanRun['fetch'] } | null = null;

  constructor(
    context: HubContext,
    generation: Generation,
    operation: Operation,
    request: GraphRequest,
    variables: Tree,
    after: string | null,
    events: StreamGroupEvents,
  ) {
    this.#context = context;
    this.#binding = { generation, operation };
    // A shared stream outlives the one who opened it; whoever serves a member ends it when its token does.
    const { principal } = request;
    this.#request = operation.isSingle ? request : { ...request, principal: { ...principal, expiresAt: null } };
    this.#variables = variables;
    this.#after = after;
    this.#isLive = after === null;
    this.#events = events;
    this.#shareKey = operation.isPersonal || operation.isSingle ? null : context.accessOf(request.principal);
    void this.#run();
  }

  get size(): number {
    return this.#members.size;
  }

  /** A subscriber who begins after this cursor (null: now) misses nothing and gets nothing twice by joining now. */
  accepts(after: string | null): boolean {
    if (this.#closed.signal.aborted) return false;
    return after === null ? this.#isLive : after === this.#after && this.#delivered === 0;
  }

  /** Both have delivered everything up to the same item, and everything that follows is the same. */
  standsWith(other: StreamGroup): boolean {
    return this.#isSettled && other.#isSettled && this.#cursor !== null && this.#cursor === other.#cursor;
  }

  get #isSettled(): boolean {
    return this.#isLive || this.#binding.operation.resumption?.tellsReplay === false;
  }

  /** @returns leaves the group */
  join(sink: StreamSink): () => void {
    const member = Symbol('subscriber');
    this.#members.set(member, sink);
    return () => this.#leave(member);
  }

  /** Hands all subscribers to another group and ends. */
  moveTo(other: StreamGroup): void {
    for (const [member, sink] of this.#members) other.#members.set(member, sink);
    this.#members.clear();
    this.#movedTo = other;
    this.#close();
  }

  /** Goes on with another supergraph: between two items, and with the same upstream where that has not changed. */
  async reload(generation: Generation): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const operation = generation.prepare(this.#request.document, this.#request.operationName ?? null);
    if (!(operation instanceof Operation)) {
      this.fail(operation.map((error) => error.toJSON()));
      return;
    }
    const plan = await this.#planOf(operation);
    const before = await this.#planOf(this.#binding.operation);
    if (plan === null || before === null || this.#closed.signal.aborted) return;
    // Another reload has come meanwhile, and does this again.
    if (generation !== this.#context.generation()) return;
    const { source } = before;
    const isSameUpstream =
      source.service === plan.source.service &&
      source.operation === plan.source.operation &&
      this.#binding.generation.transports.get(source.service) === generation.transports.get(source.service);
    this.#binding = { generation, operation };
    if (!isSameUpstream) this.#upstream?.abort();
    // An item under way is finished with the old one.
    await this.#delivering;
  }

  fail(errors: readonly AnswerError[]): void {
    const sinks = [...this.#members.values()];
    this.#members.clear();
    this.#close();
    for (const sink of sinks) this.#guarded(() => sink.error(errors));
  }

  complete(): void {
    const sinks = [...this.#members.values()];
    this.#members.clear();
    this.#close();
    for (const sink of sinks) this.#guarded(() => sink.complete());
  }

  #leave(member: symbol): void {
    if (this.#movedTo !== null) {
      this.#movedTo.#leave(member);
      return;
    }
    this.#members.delete(member);
    if (this.#members.size === 0) this.#close();
  }

  #close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#upstream?.abort();
    this.#events.onClosed(this);
  }

  async #planOf(operation: Operation): Promise<SubscriptionPlan | null> {
    try {
      return await operation.variant(this.#variables).subscriptionPlan();
    } catch (error) {
      this.#context.onError(error, { requestId: this.#request.requestId, service: null });
      this.fail([{ message: 'The subscription could not be planned.', extensions: { code: 'INTERNAL_SERVER_ERROR' } }]);
      return null;
    }
  }

  /** Keeps the upstream open until it ends by itself or nobody listens any more. */
  async #run(): Promise<void> {
    for (let attempt = 0; !this.#closed.signal.aborted; ) {
      const deliveredBefore = this.#delivered;
      const interruption = await this.#follow();
      if (interruption === null || interruption === 'CLOSED') return;
      this.#isResuming = true;
      if (interruption === 'RELOADED' || this.#delivered !== deliveredBefore) attempt = 0;
      if (interruption === 'LOST') {
        await wait(this.#context.retryDelayMs(attempt), undefined, { signal: this.#closed.signal }).catch(
          () => undefined,
        );
        attempt++;
      }
    }
  }

  /** @returns why following ended early; null when the group has ended with its upstream */
  async #follow(): Promise<Interruption | null> {
    const binding = this.#binding;
    // First of all, so that a reload from now on finds what to abort.
    const upstream = new AbortController();
    this.#upstream = upstream;
    const plan = await this.#planOf(binding.operation);
    if (plan === null) return null;
    const interruption = (): Interruption | null => {
      if (this.#closed.signal.aborted) return 'CLOSED';
      return upstream.signal.aborted ? 'RELOADED' : null;
    };
    const flight: { ahead: number; broken: { readonly cause: unknown } | null } = { ahead: 0, broken: null };
    try {
      for await (const item of this.#open(binding, plan, upstream.signal)) {
        if (interruption() !== null) break;
        // Made beside others, told in order.
        const made = this.#make(item);
        made.catch(() => undefined);
        flight.ahead += 1;
        this.#delivering = this.#delivering
          .then(async () => {
            if (flight.broken === null) await this.#tell(await made, upstream.signal);
          })
          .catch((cause: unknown) => {
            flight.broken ??= { cause };
            upstream.abort();
          })
          .finally(() => {
            flight.ahead -= 1;
          });
        if (flight.ahead >= MAX_AHEAD) await this.#delivering;
      }
      await this.#delivering;
      if (flight.broken !== null) throw flight.broken.cause;
      const reason = interruption();
      if (reason === null) this.complete();
      return reason;
    } catch (cause) {
      await this.#delivering;
      const reason = flight.broken === null || this.#closed.signal.aborted ? interruption() : null;
      if (reason !== null) return reason;
      if (cause instanceof SubscriptionRefused) {
        this.fail(cause.errors.map((error) => withService(error, plan.source.service)));
        return null;
      }
      this.#context.onError(cause, { requestId: this.#request.requestId, service: plan.source.service });
      if (cause instanceof TransportError) return 'LOST';
      this.fail([{ message: 'The stream broke.', extensions: { code: 'INTERNAL_SERVER_ERROR' } }]);
      return null;
    } finally {
      upstream.abort();
    }
  }

  #open(
    { generation, operation }: Binding,
    { source }: SubscriptionPlan,
    signal: AbortSignal,
  ): AsyncIterable<SubgraphResult> {
    const transport = generation.transports.get(source.service);
    if (transport === undefined) throw new TransportError('SUBGRAPH_UNAVAILABLE', 'The stream is not available here.');
    const after = this.#cursor ?? this.#after;
    const variables = operation.resumption?.variables(this.#variables, after) ?? this.#variables;
    const used: Tree = {};
    for (const name of source.variables) if (Object.hasOwn(variables, name)) used[name] = variables[name];
    const { principal, requestId } = this.#request;
    return transport.subscribe({
      operation: source.operation,
      kind: 'subscription',
      variables: used,
      principal,
      requestId,
      signal,
      shareKey: this.#shareKey ?? undefined,
    });
  }

  /** Nobody could take another item now. */
  #isWaitedFor(): boolean {
    if (this.#members.size === 0) return false;
    for (const { backlog } of this.#members.values()) {
      if (backlog === undefined || backlog.bytes() <= MAX_WAITING_BYTES) return false;
    }
    return true;
  }

  /** Resolves when somebody can take the next item; whoever takes nothing for too long is cut. */
  async #untilTaken(signal: AbortSignal): Promise<void> {
    const waiting = (): number =>
      this.#members.values().reduce((sum, { backlog }) => sum + (backlog === undefined ? 0 : backlog.bytes()), 0);
    let left = waiting();
    let lookedMs = 0;
    for (
      let pauseMs = LOOK_EVERY_MS;
      this.#isWaitedFor() && !signal.aborted;
      pauseMs = Math.min(pauseMs * 2, LOOK_SELDOM_MS)
    ) {
      await wait(pauseMs, undefined, { signal }).catch(() => undefined);
      const now = waiting();
      lookedMs = now < left ? 0 : lookedMs + pauseMs;
      left = now;
      if (lookedMs < this.#context.stallMs) continue;
      for (const { backlog } of Array.from(this.#members.values())) this.#guarded(() => backlog?.cut());
      return;
    }
  }

  /** Runs that are made at once ask together, also those of other groups that make the same. Replaced with the binding. */
  #fetchFor(binding: Binding): PlanRun['fetch'] {
    if (this.#fetching?.binding === binding) return this.#fetching.fetch;
    const key = this.#itemKeyFor(binding);
    // Others wait for what we fetch for them: it goes on when we have left.
    const signal = key === null ? this.#closed.signal : NEVER;
    const batched = key === null ? createBatchedFetch() : binding.generation.batchedFetchOf(key);
    const fetch = batched((node, variables, shareKey) => {
      const scope = new RequestScope(signal, ITEM_DEADLINE_MS);
      const run = this.#context.runOf(binding.generation, this.#request, scope, this.#variables, {});
      return run.fetch(node, variables, shareKey).finally(() => scope.close());
    });
    this.#fetching = { binding, fetch };
    return fetch;
  }

  /** What this group makes of items, as text; null when no other makes the same. */
  #itemKeyFor(binding: Binding): string | null {
    if (this.#itemKey?.binding === binding) return this.#itemKey.key;
    const { document, operationName } = this.#request;
    const { variablesOfItems } = binding.operation;
    const key =
      this.#shareKey === null || variablesOfItems === null
        ? null
        : JSON.stringify([
            binding.generation.textOf(document),
            operationName ?? null,
            this.#shareKey,
            textOf(variablesOfItems, this.#variables),
          ]);
    this.#itemKey = { binding, key };
    return key;
  }

  /** Fetches what the item needs, and writes it. @throws the reason when the group was closed meanwhile */
  async #make(item: SubgraphResult): Promise<Made | null> {
    if (item.place !== undefined) return { text: null, cursor: item.place, isItem: false, isReplayComplete: false };
    const binding = this.#binding;
    const { generation, operation } = binding;
    const plan = await this.#planOf(operation);
    if (plan === null) return null;
    const key = item.isShared === true ? this.#itemKeyFor(binding) : null;
    if (key === null) return this.#write(binding, plan, item);
    let isOurs = false;
    const make = (): Promise<Made> => {
      isOurs = true;
      return this.#write(binding, plan, item);
    };
    try {
      return await generation.sharedItems.get(item, key, make);
    } catch (cause) {
      if (isOurs) throw cause;
      // Whoever made it has left.
      return this.#write(binding, plan, item);
    }
  }

  async #write(binding: Binding, plan: SubscriptionPlan, item: SubgraphResult): Promise<Made> {
    const { generation, operation } = binding;
    const scope = new RequestScope(this.#closed.signal, ITEM_DEADLINE_MS);
    try {
      const fetch = this.#fetchFor(binding);
      const run = { ...this.#context.runOf(generation, this.#request, scope, this.#variables, {}), fetch };
      const data = item.isShared === true ? copyOf(item.data) : item.data;
      acceptRoot(plan.source, { ...item, data: isTree(data) ? data : null }, run);
      const { resumption } = operation;
      const cursor = resumption?.cursorOf(run.root) ?? null;
      const isReplayComplete = resumption?.isReplayComplete(run.root) ?? false;
      if (plan.rest !== null) await executePlan(plan.rest, run);
      const text = answerText(operation.variant(this.#variables).shape, run.root, run.errors, undefined);
      this.#context.counts.executed += 1;
      return { text, cursor, isItem: true, isReplayComplete };
    } finally {
      scope.close();
    }
  }

  async #tell(made: Made | null, signal: AbortSignal): Promise<void> {
    if (made === null || this.#closed.signal.aborted) return;
    const { text, cursor, isItem, isReplayComplete } = made;
    // Told by the source after we have resumed; the subscribers have not asked for a replay, or have heard of its end.
    const isOurs = isReplayComplete && this.#isResuming && this.#isLive;
    if (text !== null && !isOurs) {
      this.#context.counts.items += 1;
      this.#send(text, cursor);
    }
    this.#cursor = cursor ?? this.#cursor;
    if (isItem) this.#delivered++;
    if (isReplayComplete) {
      this.#isLive = true;
      this.#isResuming = false;
    }
    this.#events.onDelivered(this);
    const isWaiting = this.#isWaitedFor();
    if (!isWaiting && performance.now() - this.#turnedAt < TURN_MS) return;
    await nextTurn();
    if (isWaiting) await this.#untilTaken(signal);
    this.#turnedAt = performance.now();
  }

  #send(text: string, cursor: string | null): void {
    this.#context.counts.deliveries += this.#members.size;
    for (const sink of this.#members.values()) this.#guarded(() => sink.next(text, cursor));
  }

  /** A subscriber whose sink throws must not cost the others theirs. */
  #guarded(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#context.onError(error, { requestId: this.#request.requestId, service: null });
    }
  }
}
