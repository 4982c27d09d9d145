import { z } from 'zod';
import { fault } from '../schema/errors.ts';
import type { CursorCodec } from './cursor.ts';
import type { EventRow } from './rows.ts';

/** One kind for lists and streams: a place that was read in a page is a place to subscribe after. */
const KIND = 'event';

const Payload = z.tuple([z.string(), z.number(), z.number().nullable()]);

/** A place in the log. */
export interface EventPlace {
  /** Of which life of the store. */
  readonly epoch: string;
  readonly seq: number;
  /** When the event there happened, in milliseconds; null for a place between events. */
  readonly occurredAt: number | null;
}

export interface EventCursors {
  /** Sealed once per row: the rows in memory are shared by all subscribers. */
  of(event: Pick<EventRow, 'seq' | 'occurred_at'>): string;
  /** @param occurredAt null for a place between events, which a stream can go on from and a list cannot */
  encode(seq: number, occurredAt: number | null): string;
  /** @throws GraphQLError BAD_CURSOR */
  decode(cursor: string): EventPlace;
}

/** Opaque cursors of the log; they carry the store's epoch, because numbers mean nothing in another store. */
export function createEventCursors(codec: CursorCodec, epoch: string): EventCursors {
  const sealed = new WeakMap<Pick<EventRow, 'seq' | 'occurred_at'>, string>();
  const encode = (seq: number, occurredAt: number | null): string => codec.encode(KIND, [epoch, seq, occurredAt]);
  return {
    encode,
    of(event) {
      let cursor = sealed.get(event);
      if (cursor === undefined) {
        cursor = encode(event.seq, event.occurred_at);
        sealed.set(event, cursor);
      }
      return cursor;
    },
    decode(cursor) {
      const payload = Payload.safeParse(codec.decode(KIND, cursor));
      if (!payload.success) throw fault('BAD_CURSOR', 'This cursor is not one of an event or of the event stream.');
      const [of, seq, occurredAt] = payload.data;
      return { epoch: of, seq, occurredAt };
    },
  };
}
