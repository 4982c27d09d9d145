// Begins sessions on the event socket: subscriptions, and the snapshot of states under them.
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type EventSocket, SNAPSHOT_TIMEOUT_MS } from './event-socket.ts';
import { WireEvent } from './wire.ts';

/** Lists of ids in a filter; the platform's bound is not documented. */
const MAX_IDS = 500;

export interface Filter {
  readonly resourceTypes: readonly string[];
  readonly eventTypes: readonly string[];
}

/** Every filter of a subscription names types: one without filters is accepted and delivers nothing. */
export async function subscribe(socket: EventSocket, filters: readonly Filter[], signal: AbortSignal): Promise<void> {
  const all = filters.flatMap(({ resourceTypes, eventTypes }) => {
    const chunks: Filter[] = [];
    for (let from = 0; from < eventTypes.length; from += MAX_IDS)
      chunks.push({ resourceTypes, eventTypes: eventTypes.slice(from, from + MAX_IDS) });
    return chunks;
  });
  if (all.length === 0) throw new AdapterError('MISCONFIGURED', 'there is nothing to subscribe to');
  const wire = all.map((filter) => ({ modifier: 'include', sourceIds: ['*'], ...filter }));
  await socket.command('addSubscription', { filters: wire }, signal);
}

export interface Started {
  readonly sessionId: string;
  /** The old session goes on: its subscriptions hold, and what was missed follows. */
  readonly isResumed: boolean;
}

/** A session that cannot be resumed is no error: it is answered with another one. */
export async function startSession(
  socket: EventSocket,
  previous: { readonly sessionId: string; readonly eventId: string } | null,
  signal: AbortSignal,
): Promise<Started> {
  const { status, sessionId = '' } = await socket.command(
    'startSession',
    { sessionId: previous?.sessionId ?? '', eventId: previous?.eventId ?? '' },
    signal,
  );
  const isResumed = previous !== null && status === 200 && (sessionId === '' || sessionId === previous.sessionId);
  return { sessionId: sessionId || (previous?.sessionId ?? ''), isResumed };
}

/** States under the session's subscriptions; what cannot be read is left out, and counted. */
export async function readStates(
  socket: EventSocket,
  signal: AbortSignal,
): Promise<{
  readonly states: readonly { readonly event: WireEvent; readonly raw: unknown }[];
  readonly unread: number;
}> {
  const frame = await socket.command('getState', {}, signal, SNAPSHOT_TIMEOUT_MS);
  const all = frame.states ?? [];
  const states = all.flatMap((raw) => {
    const parsed = WireEvent.safeParse(raw);
    return parsed.success ? [{ event: parsed.data, raw }] : [];
  });
  return { states, unread: all.length - states.length };
}
