import { OperationTypeNode } from 'graphql';
import type { Authenticator } from '../auth/authenticator.ts';
import { onExpiry } from '../expiry.ts';
import { parseOperationParams } from '../operation-params.ts';
import type { Caller, Operations } from '../operations.ts';
import type { PrincipalCaps } from '../principal-caps.ts';
import { internalError, Refusal } from '../refusal.ts';
import type { Principal } from '../../schema/principal.ts';
import { nextPrefix } from './frames.ts';
import { type ClientMessage, CLOSE, type CloseReason, parseClientMessage } from './protocol.ts';

/** A page opens a handful; a client with more can open another connection. */
export const MAX_OPERATIONS = 50;
/** Whoever opens a connection and says nothing holds it no longer than this. */
const INIT_TIMEOUT_MS = 3_000;

/** The socket below a connection. The protocol above never touches it otherwise. */
export interface Wire {
  send(message: object): void;
  /** Sends one `next` message. */
  sendNext(id: string, prefix: Buffer, text: string): void;
  /** Bytes that were sent and that the peer has not taken yet. */
  waiting(): number;
  /** Sends what is under way, then closes. Safe to call again. */
  close(reason: CloseReason): void;
}

export interface ConnectionOptions {
  readonly operations: Operations;
  readonly authenticator: Authenticator;
  readonly caps: PrincipalCaps;
  readonly requestId: string;
  /** Of the HTTP request that became this connection; counts when the client sends none with its first message. */
  readonly authorization: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** An error that is ours. */
  readonly onError: (error: unknown) => void;
}

export interface Connection {
  receive(text: string): void;
  /** The socket is closed: every operation ends. */
  closed(): void;
  /** Subscriptions and other operations that are open. */
  readonly operationCount: number;
}

function authorizationOf(payload: Readonly<Record<string, unknown>> | null | undefined): string | undefined {
  const value = payload?.['authorization'] ?? payload?.['Authorization'];
  return typeof value === 'string' ? value : undefined;
}

/** One client's side of the protocol, from `connection_init` to the end. */
export function createConnection(wire: Wire, options: ConnectionOptions): Connection {
  const { operations, authenticator, requestId, now } = options;
  /** Open operations by the client's id, with what ends them. */
  const open = new Map<string, () => void>();
  let state: 'new' | 'authenticating' | Principal | 'closed' = 'new';
  let forgetExpiry = (): void => undefined;
  let leavePrincipal = (): void => undefined;
  let operationNumber = 0;
  const initTimer = setTimeout(() => close(CLOSE.initTimeout), INIT_TIMEOUT_MS);

  function close(reason: CloseReason): void {
    closed();
    wire.close(reason);
  }

  function closed(): void {
    state = 'closed';
    clearTimeout(initTimer);
    forgetExpiry();
    leavePrincipal();
    const enders = [...open.values()];
    open.clear();
    for (const end of enders) end();
  }

  async function initialise(message: Extract<ClientMessage, { type: 'connection_init' }>): Promise<void> {
    if (state !== 'new') return close(CLOSE.tooManyInits);
    state = 'authenticating';
    clearTimeout(initTimer);
    try {
      const principal = await authenticator.authenticate(authorizationOf(message.payload) ?? options.authorization);
      if (state !== 'authenticating') return;
      leavePrincipal = options.caps.enter(principal);
      state = principal;
      forgetExpiry = onExpiry(principal.expiresAt, now, () => close(CLOSE.tokenExpired));
      wire.send({ type: 'connection_ack' });
    } catch (error) {
      if (!(error instanceof Refusal)) options.onError(error);
      if (state !== 'authenticating') return;
      const isFull = error instanceof Refusal && error.code === 'TOO_MANY_CONNECTIONS';
      close(isFull ? CLOSE.tooManyConnections : CLOSE.forbidden);
    }
  }

  function subscribe({ id, payload }: Extract<ClientMessage, { type: 'subscribe' }>): void {
    if (typeof state === 'string') return close(CLOSE.unauthorized);
    if (open.has(id)) return close({ code: 4409, reason: `Subscriber for ${id} already exists`.slice(0, 120) });
    operationNumber += 1;
    const controller = new AbortController();
    const caller: Caller = {
      principal: state,
      requestId: `${requestId}.${operationNumber}`,
      signal: controller.signal,
    };
    try {
      if (open.size >= MAX_OPERATIONS) {
        throw new Refusal(429, 'TOO_MANY_OPERATIONS', `A connection has at most ${MAX_OPERATIONS} open operations.`);
      }
      start(id, payload, caller, controller);
    } catch (error) {
      open.delete(id);
      wire.send({ id, type: 'error', payload: [refusalOf(error).toGraphQLError(caller.requestId)] });
    }
  }

  function refusalOf(error: unknown): Refusal {
    if (error instanceof Refusal) return error;
    options.onError(error);
    return internalError();
  }

  function start(id: string, payload: unknown, caller: Caller, controller: AbortController): void {
    const params = parseOperationParams(payload);
    const admitted = operations.admit(params);
    const prefix = nextPrefix(id);
    let leave = (): void => undefined;
    let isOver = false;
    open.set(id, () => {
      isOver = true;
      // What a mutation has begun is finished, whoever waits for it.
      if (admitted.type !== OperationTypeNode.MUTATION) controller.abort();
      leave();
    });
    const deliver = (text: string): void => {
      if (!isOver) wire.sendNext(id, prefix, text);
    };
    const finish = (message: object): void => {
      if (isOver) return;
      isOver = true;
      open.delete(id);
      wire.send({ id, ...message });
    };
    const fail = (errors: unknown): void => finish({ type: 'error', payload: errors });
    const complete = (): void => finish({ type: 'complete' });

    if (admitted.type === OperationTypeNode.SUBSCRIPTION) {
      // All operations share the socket: what waits there waits for each of them.
      const backlog = { bytes: () => wire.waiting(), cut: () => close(CLOSE.tooSlow) };
      leave = operations.subscribe(params, admitted, caller, { next: deliver, error: fail, complete, backlog });
      return;
    }
    operations.execute(params, admitted, caller).then(
      ({ text, isExecuted }) => {
        if (isExecuted) {
          deliver(text);
          complete();
        } else {
          fail(errorsOf(text));
        }
      },
      (error: unknown) => {
        if (!isOver) fail([refusalOf(error).toGraphQLError(caller.requestId)]);
      },
    );
  }

  return {
    receive(text) {
      if (state === 'closed') return;
      const message = parseClientMessage(text);
      switch (message?.type) {
        case 'connection_init':
          void initialise(message);
          break;
        case 'subscribe':
          subscribe(message);
          break;
        case 'complete': {
          const end = open.get(message.id);
          open.delete(message.id);
          end?.();
          break;
        }
        case 'ping':
          wire.send({ type: 'pong', ...(message.payload ? { payload: message.payload } : {}) });
          break;
        case 'pong':
          break;
        case undefined:
          close(CLOSE.badRequest);
      }
    },
    closed,
    get operationCount() {
      return open.size;
    },
  };
}

/** The errors of an answer that was refused, which is our own text. */
function errorsOf(text: string): unknown {
  const answer: unknown = JSON.parse(text);
  return typeof answer === 'object' && answer !== null && 'errors' in answer ? answer.errors : [];
}
