import type { IncomingMessage, ServerResponse } from 'node:http';
import { OperationTypeNode } from 'graphql';
import type { Authenticator } from '../auth/authenticator.ts';
import type { StreamSink } from '../federation/hub.ts';
import type { AdmittedOperation } from '../limits/operations.ts';
import { type OperationParams, parseOperationParams } from '../operation-params.ts';
import type { Caller, Operations } from '../operations.ts';
import { internalError, Refusal } from '../refusal.ts';
import { type Accepted, parseAccept } from './accept.ts';
import { JSON_TYPE, sendRefusal, sendText } from './answer.ts';
import { readText } from './read-body.ts';
import { lastEventId, type StreamFormat, type Subscriptions } from './subscriptions.ts';

// GraphQL over HTTP, by hand: the engine's answer is JSON text already, and a general shell costs each request a quarter
// of what the engine takes. A response without data is a 4xx under both media types; the specification recommends 200
// under the older one, where a proxy or a script would take a refusal for an answer.
// @see https://graphql.github.io/graphql-over-http/draft/

export interface GraphQLHandler {
  handle(request: IncomingMessage, response: ServerResponse, url: URL, requestId: string): Promise<void>;
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

/**
 * GraphQL over server-sent events; items carry their cursor as the event's id.
 *
 * @see GraphQL over Server-Sent Events, "Distinct connections mode"
 */
const GRAPHQL_FORMAT: StreamFormat = {
  item: (stream, text, cursor) => stream.send('next', text, cursor),
  failure(stream, errors) {
    stream.send('next', JSON.stringify({ errors }), null);
    stream.send('complete', '', null);
  },
  completion: (stream) => stream.send('complete', '', null),
};

export function createGraphQLHandler({
  operations,
  authenticator,
  subscriptions,
}: {
  readonly operations: Operations;
  readonly authenticator: Authenticator;
  readonly subscriptions: Subscriptions;
}): GraphQLHandler {
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
    resumeAfter: string | null,
  ): void {
    const isSubscription = admitted.type === OperationTypeNode.SUBSCRIPTION;
    subscriptions.open(
      response,
      caller,
      GRAPHQL_FORMAT,
      (sink, signal) =>
        isSubscription
          ? operations.subscribe(params, admitted, { ...caller, signal }, sink, resumeAfter)
          : answerInStream(params, admitted, { ...caller, signal }, sink),
      { isFinished: admitted.type === OperationTypeNode.MUTATION },
    );
  }

  /** A query or mutation of a client that reads nothing else. */
  function answerInStream(
    params: OperationParams,
    admitted: AdmittedOperation,
    caller: Caller,
    sink: StreamSink,
  ): () => void {
    operations.execute(params, admitted, caller).then(
      ({ text }) => {
        sink.next(text, null);
        sink.complete();
      },
      (error: unknown) => {
        if (caller.signal.aborted) return;
        const refusal = error instanceof Refusal ? error : internalError();
        sink.error([refusal.toGraphQLError(caller.requestId)]);
      },
    );
    return () => undefined;
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
      answerStream(params, admitted, { principal, requestId }, response, lastEventId(request));
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
  };
}
