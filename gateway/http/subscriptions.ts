import type { IncomingMessage, ServerResponse } from 'node:http';
import { onExpiry } from '../expiry.ts';
import type { StreamSink } from '../federation/hub.ts';
import type { Caller } from '../operations.ts';
import type { PrincipalCaps } from '../principal-caps.ts';
import { Refusal } from '../refusal.ts';
import type { CutCounts } from '../ws/server.ts';
import { type EventStream, openEventStream } from './event-stream.ts';

/** Streams over server-sent events that may be open at once. */
const MAX_STREAMS = 10_000;

/** How items and ends are said. */
export interface StreamFormat {
  item(stream: EventStream, text: string, cursor: string | null): void;
  /** Nothing follows. */
  failure(stream: EventStream, errors: readonly object[]): void;
  completion(stream: EventStream): void;
}

/** What feeds a stream. @param sink that of the client @returns how to leave */
export type StreamSource = (sink: StreamSink, signal: AbortSignal) => () => void;

/** Server-sent event streams of all clients. */
export interface Subscriptions {
  /**
   * Answers with a stream that lasts until its source ends, its client leaves, its token ends, or it is too slow.
   *
   * @throws Refusal 503 or 429 when there are too many
   */
  open(
    response: ServerResponse,
    caller: Omit<Caller, 'signal'>,
    format: StreamFormat,
    source: StreamSource,
    options: {
      /** What has begun goes on when the client leaves. */
      readonly isFinished: boolean;
    },
  ): void;
  /** Streams that are open. */
  count(): number;
  /** Streams that we ended, by why. */
  cut(): CutCounts;
  /** Ends all of them without a word; their clients come back with their last cursor. */
  close(): void;
}

/** Tells what to do in the words of an error; the cursor is that of the last item that was sent. */
function endedEarly(code: 'TOKEN_EXPIRED' | 'TOO_SLOW', message: string, cursor: string | null): Refusal {
  return new Refusal(code === 'TOKEN_EXPIRED' ? 401 : 429, code, message, {
    details: cursor === null ? {} : { cursor },
  });
}

function tooMany(message: string, retryAfterSeconds: number): Refusal {
  return new Refusal(503, 'OVERLOADED', message, { headers: { 'retry-after': String(retryAfterSeconds) } });
}

/** The cursor with which a client of EventSource comes back; null when it is new. */
export function lastEventId(request: IncomingMessage): string | null {
  const id = request.headers['last-event-id'];
  return typeof id === 'string' && id !== '' ? id : null;
}

/** @param now milliseconds since the epoch */
export function createSubscriptions({
  caps,
  now,
}: {
  readonly caps: PrincipalCaps;
  readonly now: () => number;
}): Subscriptions {
  const open = new Set<EventStream>();
  const cut = { tooSlow: 0, tokenExpired: 0 };
  let isStopping = false;

  return {
    open(response, caller, format, source, { isFinished }) {
      // Its request came before we were told to stop; it was not among the streams that were ended then.
      if (isStopping) throw tooMany('We are restarting.', 1);
      if (open.size >= MAX_STREAMS) throw tooMany('Too many streams are open.', 5);
      const leavePrincipal = caps.enter(caller.principal);
      const gone = new AbortController();
      let leave = (): void => undefined;
      let cursor: string | null = null;
      let isOver = false;
      /** Nothing is sent afterwards. */
      const finish = (say: () => void): void => {
        if (isOver) return;
        isOver = true;
        leave();
        say();
        stream.end();
      };
      const fail = (errors: readonly object[]): void => finish(() => format.failure(stream, errors));
      const endEarly = (refusal: Refusal): void => fail([refusal.toGraphQLError(caller.requestId)]);
      const tooSlow = (): void => {
        if (!isOver) cut.tooSlow += 1;
        endEarly(endedEarly('TOO_SLOW', 'Too much waited for this client. Resume with your last cursor.', cursor));
      };
      const stream = openEventStream(response, {
        onSlow: tooSlow,
        onGone() {
          isOver = true;
          open.delete(stream);
          forgetExpiry();
          leavePrincipal();
          if (!isFinished) gone.abort();
          leave();
        },
      });
      open.add(stream);
      const forgetExpiry = onExpiry(caller.principal.expiresAt, now, () => {
        cut.tokenExpired += 1;
        const message = 'The token has ended. Come back with a new one, resume with your last cursor.';
        endEarly(endedEarly('TOKEN_EXPIRED', message, cursor));
      });
      leave = source(
        {
          next(text, at) {
            if (isOver) return;
            cursor = at ?? cursor;
            format.item(stream, text, at);
          },
          error: fail,
          complete: () => finish(() => format.completion(stream)),
          backlog: { bytes: stream.backlog.bytes, cut: tooSlow },
        },
        gone.signal,
      );
      if (isOver) leave();
    },
    count: () => open.size,
    cut: () => cut,
    close() {
      isStopping = true;
      for (const stream of open) stream.end();
    },
  };
}
