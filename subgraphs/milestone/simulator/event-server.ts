// The Events and State WebSocket: sessions, subscriptions, replay within the window, snapshots, and the ways it misbehaves.
import type { RawData, WebSocket } from 'ws';
import { z } from 'zod';
import type { Faults } from './faults.ts';
import type { Platform, PlatformEvent } from './platform.ts';
import { guidOf } from './world.ts';

/** Events kept for a session that may come back. */
const MAX_REPLAYED = 10_000;
const MOTION_STARTED = '6eb95dd6-7ccc-4bce-99f8-af0d0b582d77';

const Command = z.object({ command: z.string(), commandId: z.number() });
const Filter = z.object({
  modifier: z.string(),
  resourceTypes: z.array(z.string()),
  sourceIds: z.array(z.string()),
  eventTypes: z.array(z.string()),
});
type Filter = z.infer<typeof Filter>;
const Start = z.object({ sessionId: z.string(), eventId: z.string() });
const Subscription = z.object({ filters: z.array(Filter).default([]) });

interface Session {
  readonly id: string;
  subscriptions: { readonly id: string; readonly filters: readonly Filter[] }[];
  events: PlatformEvent[];
  socket: WebSocket | null;
  droppedAt: number;
}

function has(list: readonly string[], value: string): boolean {
  return list.some((each) => each === '*' || each.toLowerCase() === value.toLowerCase());
}

function matches({ resourceTypes, sourceIds, eventTypes }: Filter, event: PlatformEvent): boolean {
  const [type = '', id = ''] = event.source.split('/');
  return has(resourceTypes, type) && has(sourceIds, id) && has(eventTypes, event.type);
}

/** Within a subscription an exclude wins; one subscription that takes it is enough. No filters: nothing at all. */
function takes(session: Session, event: PlatformEvent): boolean {
  return session.subscriptions.some(({ filters }) => {
    const [includes, excludes] = [filters.filter(isInclude), filters.filter((filter) => !isInclude(filter))];
    return includes.some((filter) => matches(filter, event)) && !excludes.some((filter) => matches(filter, event));
  });
}

function isInclude({ modifier }: Filter): boolean {
  return modifier.toLowerCase() === 'include';
}

function textOf(data: RawData): string {
  return (Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)])).toString(
    'utf8',
  );
}

export interface EventServerParts {
  readonly seed: number;
  readonly platform: Platform;
  readonly faults: () => Faults;
  readonly now: () => Date;
  readonly onCommand: () => void;
}

export type EventServer = ReturnType<typeof createEventServer>;

export function createEventServer({ seed, platform, faults, now, onCommand }: EventServerParts) {
  const sessions = new Map<string, Session>();
  const sockets = new Set<WebSocket>();
  const timers = new Set<NodeJS.Timeout>();
  const waiting = new Map<Session, PlatformEvent[]>();
  let count = 0;

  function later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, ms);
    timers.add(timer);
  }

  const stop = platform.listen((event) => {
    for (const session of sessions.values()) {
      if (!takes(session, event)) continue;
      session.events.push(event);
      if (session.events.length > MAX_REPLAYED) session.events.shift();
      deliver(session, event);
    }
  });

  function deliver(session: Session, event: PlatformEvent): void {
    const { batchMs } = faults();
    if (batchMs === 0) return send(session.socket, { events: [event] });
    const batch = waiting.get(session);
    if (batch !== undefined) return void batch.push(event);
    waiting.set(session, [event]);
    later(batchMs, () => {
      const events = waiting.get(session) ?? [];
      waiting.delete(session);
      send(session.socket, { events });
    });
  }

  function send(socket: WebSocket | null, frame: unknown): void {
    if (socket?.readyState === socket?.OPEN) socket?.send(JSON.stringify(frame));
  }

  function start(
    socket: WebSocket,
    wanted: z.infer<typeof Start>,
  ): { session: Session; status: number; replay: PlatformEvent[] } {
    const known = sessions.get(wanted.sessionId);
    const isInTime =
      known !== undefined &&
      (known.socket !== null || now().getTime() - known.droppedAt <= faults().resumeSeconds * 1_000);
    const at = known?.events.findIndex(({ id }) => id === wanted.eventId) ?? -1;
    if (known !== undefined && isInTime && at !== -1) {
      known.socket?.terminate();
      known.socket = socket;
      return { session: known, status: 200, replay: known.events.slice(at + 1) };
    }
    count += 1;
    const session: Session = {
      id: guidOf(seed, `session ${count} ${now().getTime()}`),
      subscriptions: [],
      events: [],
      socket,
      droppedAt: 0,
    };
    sessions.set(session.id, session);
    return { session, status: 201, replay: [] };
  }

  function connect(socket: WebSocket): void {
    let session: Session | null = null;
    sockets.add(socket);
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      sockets.delete(socket);
      if (session?.socket !== socket) return;
      session.socket = null;
      session.droppedAt = now().getTime();
    });

    function answer(commandId: number, status: number, members: Readonly<Record<string, unknown>> = {}): void {
      if (faults().chatter)
        send(socket, {
          events: [
            {
              specversion: '1.0',
              id: guidOf(seed, `chatter ${commandId}`),
              source: 'services/8d0c1f00-0000-4000-8000-000000000001',
              time: now().toISOString(),
              type: MOTION_STARTED,
            },
          ],
        });
      send(socket, { commandId, status, ...members });
    }

    socket.on('message', (data) => {
      onCommand();
      let body: unknown;
      let name: string;
      let id: number;
      try {
        body = JSON.parse(textOf(data));
        ({ command: name, commandId: id } = Command.parse(body));
      } catch {
        return socket.close(1008, 'malformed');
      }
      if (name === faults().refuse) return answer(id, 400, { error: { errorText: `Refused: ${name}.` } });
      switch (name) {
        case 'startSession': {
          const wanted = Start.safeParse(body);
          if (!wanted.success) return socket.close(1008, 'malformed');
          const started = start(socket, wanted.data);
          session = started.session;
          answer(id, started.status, { sessionId: session.id });
          for (const event of started.replay) {
            send(socket, { events: [event] });
            if (faults().replayTwice) send(socket, { events: [event] });
          }
          return;
        }
        case 'addSubscription': {
          const wanted = Subscription.safeParse(body);
          if (session === null || !wanted.success) return answer(id, 400, { error: { errorText: 'Invalid filter.' } });
          const subscriptionId = guidOf(seed, `subscription ${session.id} ${session.subscriptions.length}`);
          session.subscriptions.push({ id: subscriptionId, filters: wanted.data.filters });
          return answer(id, 200, { subscriptionId });
        }
        case 'removeSubscription':
          return answer(id, 404, { error: { errorText: 'Unknown subscription.' } });
        case 'getState': {
          const mine = session;
          if (mine === null) return answer(id, 400, { error: { errorText: 'No session.' } });
          const reply = (): void =>
            answer(id, 200, { states: platform.states().filter((state) => takes(mine, state)) });
          const { snapshotDelayMs } = faults();
          return snapshotDelayMs === 0 ? reply() : later(snapshotDelayMs, reply);
        }
        case 'authenticate':
          return answer(id, 200);
        default:
          return socket.close(1008, 'unknown command');
      }
    });
  }

  return {
    connect,
    /** Cuts every connection without a word; sessions may be resumed. */
    drop(): void {
      for (const socket of sockets) socket.terminate();
      // Not when their ends are noticed: whoever comes back at once finds his session free.
      for (const session of sessions.values()) {
        if (session.socket === null) continue;
        session.socket = null;
        session.droppedAt = now().getTime();
      }
    },
    /** As when the gateway's process is recycled: sessions are gone too. */
    recycle(): void {
      for (const socket of sockets) socket.terminate();
      sessions.clear();
    },
    connections: () => sockets.size,
    close(): void {
      stop();
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.terminate();
      sessions.clear();
    },
  };
}
