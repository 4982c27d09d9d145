import { z } from 'zod';

// Messages of graphql-transport-ws.
// @see https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md

export const SUBPROTOCOL = 'graphql-transport-ws';

/** Why we close. The first group is the protocol's, the second ours; clients may come back after all of the second. */
export const CLOSE = {
  badRequest: { code: 4400, reason: 'Invalid message' },
  unauthorized: { code: 4401, reason: 'Unauthorized' },
  forbidden: { code: 4403, reason: 'Forbidden' },
  subprotocol: { code: 4406, reason: 'Subprotocol not acceptable' },
  initTimeout: { code: 4408, reason: 'Connection initialisation timeout' },
  tooManyInits: { code: 4429, reason: 'Too many initialisation requests' },

  tokenExpired: { code: 4403, reason: 'Token expired: come back with a new one, resume with your last cursor' },
  tooManyConnections: { code: 4420, reason: 'Too many connections of this principal' },
  tooSlow: { code: 4413, reason: 'Too slow: resume with your last cursor' },
  goingAway: { code: 1001, reason: 'Restarting: resume with your last cursor' },
} as const;

/** A close code with the reason that goes along. */
export interface CloseReason {
  readonly code: number;
  readonly reason: string;
}

/** Chosen by the client, repeated in every message about the operation. */
const id = z.string().min(1).max(200);
const payload = z.record(z.string(), z.unknown());

const ClientMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('connection_init'), payload: payload.nullish() }),
  z.object({ type: z.literal('ping'), payload: payload.nullish() }),
  z.object({ type: z.literal('pong'), payload: payload.nullish() }),
  z.object({ type: z.literal('subscribe'), id, payload }),
  z.object({ type: z.literal('complete'), id }),
]);
export type ClientMessage = z.infer<typeof ClientMessage>;

/** @returns null when it is not a message of the protocol */
export function parseClientMessage(text: string): ClientMessage | null {
  try {
    return ClientMessage.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
