import type { IncomingMessage, ServerResponse } from 'node:http';
import { OperationTypeNode } from 'graphql';
import type { Authenticator } from '../auth/authenticator.ts';
import { onExpiry } from '../expiry.ts';
import type { AdmittedOperation } from '../limits/operations.ts';
import { type OperationParams, parseOperationParams } from '../operation-params.ts';
import type { Caller, Operations } from '../operations.ts';
import { Refusal, unauthenticated } from '../refusal.ts';
import { type Accepted, parseAccept } from './accept.ts';
import { JSON_TYPE, sendRefusal, sendText } from './answer.ts';
import { type EventStream, openEventStream } from './event-stream.ts';
import { readText } from './read-body.ts';

// GraphQL over HTTP, by hand: the engine's answer is JSON text already, and a general shell costs each request a quarter
// of what the engine takes. A response without data is a 4xx under both media types; the specification recommends 200
// under the older one, where a proxy or a script would take a refusal for an answer.
// @see https://graphql.github.io/graphql-over-http/draft/

/** Streams over server-sent events that may be open at once. */
const MAX_STREAMS = 10_000;

export interface GraphQLHandler {
  handle(request: IncomingMessage, response: ServerResponse, url: URL, requestId: string): Promise<void>;
  /** Server-sent event streams that are open. */
  streams(): number;
  /** Cuts them; their clients come back with their last cursor. */
  close(): void;
}

/** A query that nobody waits for need not be worked on. A mutation is finished: half of one helps nobody. */
function goneSignal(response: ServerResponse, { type }: AdmittedOperation): AbortSignal {
  const controller = new AbortController();
  if (type !== OperationTypeNode.MUTATION) {
    response.once('close', () => {
      if (!response.writableFinished) controller.abort();
    });
  }
  return controller.signal;
}

async function readParams(request: IncomingMessage, url: URL): Promise<OperationParams> {
  if (request.method === 'GET') return paramsOfUrl(url);
  const type = request.headers['content-type'] ?? '';
  // Other types can be sent from any page without the browser asking us first.
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
    throw new Refusal(415, 'UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json in UTF-8.');
  }
  const text = await readText(request);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refusal(400, 'BAD_REQUEST', 'The body is not JSON.');
  }
  return parseOperationParams(body);
}

function paramsOfUrl({ searchParams }: URL): OperationParams {
  const object = (name: string): unknown => {
    const text = searchParams.get(name);
    if (text === null || text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch {
      throw new Refusal(400, 'BAD_REQUEST', `\`${name}\` is not JSON.`);
    }
  };
  return parseOperationParams({
    query: searchParams.get('query'),
    operationName: searchParams.get('operationName'),
    variables: object('variables'),
    extensions: object('extensions'),
  });
}

function assertMethod(request: IncomingMessage, admitted: AdmittedOperation): void {
  if (request.method === 'GET' && admitted.type === OperationTypeNode.MUTATION) {
    throw new Refusal(405, 'METHOD_NOT_ALLOWED', 'Mutations need POST.', { headers: { allow: 'POST' } });
  }
}

/** @param now milliseconds since the epoch */
export function createGraphQLHandler({
  operations,
  authenticator,
  now,
}: {
  readonly operations: Operations;
  readonly authenticator: Authenticator;
  readonly now: () => number;
}): GraphQLHandler {
  const open = new Set<EventStream>();

  async function answerOnce(
    params: OperationParams,
    admitted: AdmittedOperation,
    caller: Caller,
    response: ServerResponse,
    type: string,
  ): Promise<void> {
    const { text, isExecuted } = await operations.execute(params, admitted, caller);
    if (!caller.signal.aborted) sendText(response, isExecuted ? 200 : 400, type, text);
  }

  function answerStream(
    params: OperationParams,
    admitted: AdmittedOperation,
    caller: Omit<Caller, 'signal'>,
    response: ServerResponse,
  ): void {
    if (open.size >= MAX_STREAMS) {
      throw new Refusal(503, 'OVERLOADED', 'Too many streams are open.', { headers: { 'retry-after': '5' } });
    }
    const signal = goneSignal(response, admitted);
    let leave = (): void => undefined;
    const stream = openEventStream(response, () => {
      open.delete(stream);
      forgetExpiry();
      leave();
    });
    open.add(stream);
    const fail = (errors: readonly object[]): void => {
      stream.next(JSON.stringify({ errors }));
      stream.complete();
    };
    const forgetExpiry = onExpiry(caller.principal.expiresAt, now, () =>
      fail([unauthenticated().toGraphQLError(caller.requestId)]),
    );
    const streaming = { ...caller, signal };
    if (admitted.type === OperationTypeNode.SUBSCRIPTION) {
      leave = operations.subscribe(params, admitted, streaming, {
        next: stream.next,
        error: fail,
        complete: stream.complete,
      });
      return;
    }
    operations.execute(params, admitted, streaming).then(
      ({ text }) => {
        stream.next(text);
        stream.complete();
      },
      (error: unknown) => {
        if (error instanceof Refusal) fail([error.toGraphQLError(caller.requestId)]);
        else stream.interrupt();
      },
    );
  }

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    requestId: string,
    accepted: Accepted,
  ): Promise<void> {
    if (request.method !== 'POST' && request.method !== 'GET') {
      throw new Refusal(405, 'METHOD_NOT_ALLOWED', 'GraphQL needs GET or POST.', { headers: { allow: 'GET, POST' } });
    }
    if (accepted.answer === null && !accepted.stream) {
      throw new Refusal(
        406,
        'NOT_ACCEPTABLE',
        'We answer in application/graphql-response+json, application/json or text/event-stream.',
      );
    }
    const principal = await authenticator.authenticate(request.headers.authorization);
    const params = await readParams(request, url);
    const admitted = operations.admit(params);
    assertMethod(request, admitted);
    const isSubscription = admitted.type === OperationTypeNode.SUBSCRIPTION;
    if (accepted.answer === null || (isSubscription && accepted.stream)) {
      answerStream(params, admitted, { principal, requestId }, response);
      return;
    }
    if (isSubscription) {
      throw new Refusal(406, 'NOT_ACCEPTABLE', 'Subscriptions need `accept: text/event-stream`, or a WebSocket.');
    }
    const signal = goneSignal(response, admitted);
    await answerOnce(params, admitted, { principal, requestId, signal }, response, accepted.answer);
  }

  return {
    async handle(request, response, url, requestId) {
      const accepted = parseAccept(request.headers.accept);
      try {
        await answer(request, response, url, requestId, accepted);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        sendRefusal(response, error, requestId, accepted.answer ?? JSON_TYPE);
      }
    },
    streams: () => open.size,
    close() {
      for (const stream of open) stream.interrupt();
    },
  };
}
