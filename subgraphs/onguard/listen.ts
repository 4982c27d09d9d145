/**
 * The event channel: attach to our subscription, fetch what was missed, then hand on what comes, verbatim. One way of
 * recovery for everything that breaks: the connection is given up, and the next one catches up from the last event.
 *
 * @see OpenAccess, Web Event Bridge, hub `Outbound`
 */
import type { Logger } from 'pino';
import type { ListenItem } from '../../adapter-kit/adapter.ts';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type Bridge, openBridge } from './bridge.ts';
import { OpenAccessError } from './calls.ts';
import { readLoggedEvents } from './catch-up.ts';
import type { Catalogue, CatalogueReader } from './catalogue.ts';
import type { OnGuardClient } from './client.ts';
import { EVENT_CALLBACK, eventsOf, HEADERS, instantOf } from './decode.ts';
import type { EventDirectory } from './directory.ts';
import { createInboxQueue } from './inbox-queue.ts';
import { intOf, type Properties, propertiesOf } from './properties.ts';
import type { OnGuardSettings } from './settings.ts';
import { ensureSubscription, subscriptionName } from './subscription.ts';
import { WireSubscription, type WireInvocation } from './wire.ts';

export interface ListenTiming {
  /** The platform drops a subscription that is not heard of for longer. */
  readonly heartbeatMs: number;
  /** Between two calls that keep the session from ending for inactivity. */
  readonly keepAliveMs: number;
  /** After attaching, the bridge says that it has its message broker; what happens before that may be lost. */
  readonly establishMs: number;
  /** The bridge may be without its message broker for so long. */
  readonly brokerPatienceMs: number;
}

export const USUAL_TIMING: ListenTiming = {
  heartbeatMs: 10_000,
  keepAliveMs: 240_000,
  establishMs: 10_000,
  brokerPatienceMs: 60_000,
};

/** Saying good-bye may not hold up a stop. */
const GOODBYE_MS = 1_000;
/** Longest header value: the inbox keeps 256 characters. */
const MAX_HEADER = 200;

/** What outlives a connection, kept by the adapter. */
export interface ListenMemory {
  /** Instant of the newest event, or of the first attachment, in milliseconds. */
  lastAt: number | null;
  /** Shapes of events that were logged once. */
  readonly shapesTold: Set<string>;
}

export interface ListenParts {
  readonly client: OnGuardClient;
  readonly settings: OnGuardSettings;
  readonly integrationId: string;
  readonly catalogue: CatalogueReader;
  readonly directory: EventDirectory;
  /** Reads the inventory into the directory. */
  readonly loadDirectory: (signal: AbortSignal) => Promise<void>;
  readonly memory: ListenMemory;
  readonly logger: Logger;
  readonly now: () => Date;
  readonly timing: ListenTiming;
}

type Arrival =
  | { readonly kind: 'event'; readonly body: Uint8Array; readonly event: Properties }
  | { readonly kind: 'gap' };

/** Runs until `signal` fires. @throws AdapterError when the connection is lost */
export async function* listen(
  parts: ListenParts,
  resumeToken: string | null,
  signal: AbortSignal,
): AsyncGenerator<ListenItem> {
  const { memory, now } = parts;
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const since = latest(parseToken(resumeToken), memory.lastAt);
  const startedAt = now().getTime();
  const queue = createInboxQueue<Arrival>();
  const attachment = createAttachment(parts, queue, either);
  try {
    await attachment.open();
    // A first connection has nothing to repeat; its next one repeats from here.
    memory.lastAt ??= since ?? startedAt;
    const catalogue = await parts.catalogue.read(either);
    if (!parts.directory.isLoaded()) await parts.loadDirectory(either);
    if (since !== null) yield* catchUp(parts, catalogue, since, either);
    for (;;) {
      const arrival = await queue.take(either);
      if (arrival.kind === 'gap') yield* catchUp(parts, catalogue, memory.lastAt, either);
      else yield itemOf(parts, catalogue, arrival.body, arrival.event, 'STREAM');
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    over.abort(new AdapterError('UNREACHABLE', 'the connection of the event bridge is given up'));
    await attachment.close();
  }
}

async function* catchUp(
  parts: ListenParts,
  catalogue: Catalogue,
  since: number,
  signal: AbortSignal,
): AsyncGenerator<ListenItem> {
  let count = 0;
  for await (const records of readLoggedEvents(parts.client, since, parts.now().getTime(), signal)) {
    for (const record of records) {
      count += 1;
      const body = Buffer.from(JSON.stringify(record));
      yield itemOf(parts, catalogue, body, propertiesOf(record), 'POLL');
    }
  }
  parts.logger.info({ count, since: new Date(since).toISOString() }, 'Events were fetched that may have been missed');
}

function itemOf(
  { directory, memory, logger, now }: ListenParts,
  catalogue: Catalogue,
  body: Uint8Array,
  event: Properties,
  source: 'STREAM' | 'POLL',
): ListenItem {
  const receivedAt = now();
  const at = instantOf(event)?.getTime() ?? null;
  // A panel whose clock runs ahead must not make us skip what happens until then.
  if (at !== null && at <= receivedAt.getTime()) memory.lastAt = latest(memory.lastAt, at);
  const shape = `${source} ${[...event.keys()].toSorted().join(' ')}`;
  if (!memory.shapesTold.has(source)) {
    memory.shapesTold.add(source);
    // Which properties live events have is not documented: said once, names only.
    logger.info({ shape: shape.slice(0, 1_000) }, 'First event of this way; these are its properties');
  }
  const type = intOf(event, 'event_type');
  const subtype = intOf(event, 'event_subtype');
  const named = {
    [HEADERS.device]: directory.find(event),
    [HEADERS.typeName]: type === null ? null : (catalogue.typeNames.get(type) ?? null),
    [HEADERS.words]: catalogue.descriptions.get(`${type}/${subtype}`) ?? null,
  };
  const headers = Object.fromEntries(
    Object.entries(named).flatMap(([name, value]) => (value === null ? [] : [[name, value.slice(0, MAX_HEADER)]])),
  );
  return {
    message: { body, headers, source, receivedAt },
    resumeToken: memory.lastAt === null ? null : new Date(memory.lastAt).toISOString(),
  };
}

function latest(left: number | null, right: number | null): number | null {
  return left === null || right === null ? (left ?? right) : Math.max(left, right);
}

/** A token that cannot be read is none: what it stood for is then only what the platform kept for us. */
function parseToken(token: string | null): number | null {
  const at = Date.parse(token ?? '');
  return Number.isNaN(at) ? null : at;
}

interface Attachment {
  open(): Promise<void>;
  /** Never fails. */
  close(): Promise<void>;
}

/** Holds our place at the hub: attaches, says every ten seconds that we are there, and tells of gaps. */
function createAttachment(
  parts: ListenParts,
  queue: ReturnType<typeof createInboxQueue<Arrival>>,
  signal: AbortSignal,
): Attachment {
  const { client, settings, logger, timing, now } = parts;
  const name = subscriptionName(settings, parts.integrationId);
  let bridge: Bridge | null = null;
  let subscription: WireSubscription | null = null;
  let heartbeat: NodeJS.Timeout | undefined;
  let broker: NodeJS.Timeout | undefined;
  let isBeating = false;
  /** Everything from here on is either told by the connection or caught up. */
  let isAttached = false;
  let keptAliveAt = now().getTime();
  let hasBroker = false;
  const established = Promise.withResolvers<void>();

  function called(calls: readonly WireInvocation[], frame: Uint8Array): void {
    for (const call of calls) {
      switch (call.M.toLowerCase()) {
        case EVENT_CALLBACK.toLowerCase(): {
          // A frame with one event goes on as it came; of one with several, each goes on by itself.
          const body = calls.length === 1 ? frame : Buffer.from(JSON.stringify({ M: [call] }));
          const [event] = eventsOf({ M: [call] });
          if (event !== undefined) queue.put({ kind: 'event', body, event }, body.byteLength);
          break;
        }
        case 'onconnectiontomessagebusestablished':
          clearTimeout(broker);
          if (!hasBroker && isAttached) {
            logger.info('The event bridge has its message broker');
            queue.put({ kind: 'gap' }, 0);
          }
          hasBroker = true;
          established.resolve();
          break;
        // The vendor's two samples disagree on the name.
        case 'onconnectionfrommessagebuslost':
        case 'onconnectiontomessagebuslost':
          if (!hasBroker) break;
          hasBroker = false;
          logger.warn('The event bridge lost its message broker');
          broker = setTimeout(() => {
            queue.fail(new AdapterError('UNREACHABLE', 'the event bridge has been without its message broker'));
          }, timing.brokerPatienceMs);
          break;
        case 'onexceptionraised':
          logger.warn('The event bridge reports an exception of its own');
          break;
        default:
          logger.debug({ callback: call.M.slice(0, MAX_HEADER) }, 'The event bridge called something else');
      }
    }
  }

  /** Invokes with a token that is good, once more with a new one when the hub refuses it. */
  async function invoke(method: string): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      if (bridge === null) throw new AdapterError('UNREACHABLE', 'there is no connection');
      const token = await client.session.token(signal);
      const connection = { SessionToken: token, ApplicationId: settings.applicationId };
      try {
        return await bridge.invoke(method, [connection, subscription], signal);
      } catch (error) {
        if (!(error instanceof OpenAccessError) || !error.isSession || attempt > 1) throw error;
        client.session.drop(token);
      }
    }
  }

  async function attach(): Promise<void> {
    subscription = await ensureSubscription(client, name, settings.events.durable, signal);
    let answer: unknown;
    try {
      answer = await invoke('ModifySubscription');
    } catch (error) {
      if (!(error instanceof OpenAccessError) || error.code !== 'NOT_FOUND') throw error;
      // Listed, and gone since.
      subscription = await client.createSubscription(name, settings.events.durable, signal);
      answer = await invoke('ModifySubscription');
    }
    const changed = WireSubscription.safeParse(answer);
    if (changed.success) subscription = changed.data;
  }

  async function beat(): Promise<void> {
    if (isBeating) return;
    isBeating = true;
    try {
      await sayHello();
    } catch (error) {
      if (!signal.aborted) queue.fail(error instanceof AdapterError ? error : brokenBy(error));
    } finally {
      isBeating = false;
    }
  }

  async function sayHello(): Promise<void> {
    try {
      await invoke('ConnectionHeartbeat');
    } catch (error) {
      if (!(error instanceof OpenAccessError) || error.code !== 'NOT_FOUND') throw error;
      logger.warn('Our event subscription was deleted at the platform; a new one is made');
      subscription = await client.createSubscription(name, settings.events.durable, signal);
      await invoke('ModifySubscription');
      queue.put({ kind: 'gap' }, 0);
    }
    // Whether what is said at the hub keeps the session is not documented.
    if (now().getTime() - keptAliveAt < timing.keepAliveMs) return;
    keptAliveAt = now().getTime();
    await client.keepAlive(signal);
  }

  return {
    async open() {
      bridge = await openBridge(
        {
          client,
          transport: settings.events.transport,
          logger,
          events: { called, lost: (error) => queue.fail(error) },
        },
        signal,
      );
      await attach();
      if (!(await orLate(established.promise, timing.establishMs, signal)))
        logger.warn('The event bridge does not say that it has its message broker; we go on without');
      isAttached = true;
      heartbeat = setInterval(() => void beat(), timing.heartbeatMs);
      logger.info({ transport: bridge.transport }, 'Attached to the event bridge');
    },
    async close() {
      clearInterval(heartbeat);
      clearTimeout(broker);
      if (bridge === null) return;
      // So that a durable subscription keeps what comes from now on; without it the platform notices by itself.
      await bridge.invoke('StopSubscription', [], AbortSignal.timeout(GOODBYE_MS)).catch(() => undefined);
      await bridge.close();
    },
  };
}

/** @returns whether it came in time @throws AdapterError when the signal fires */
async function orLate(promise: Promise<void>, ms: number, signal: AbortSignal): Promise<boolean> {
  const { promise: late, resolve, reject } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  const abort = (): void => reject(abandoned(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function brokenBy(cause: unknown): AdapterError {
  return new AdapterError('BAD_PAYLOAD', 'a heartbeat of the event bridge failed', { cause });
}
