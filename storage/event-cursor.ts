import { z } from 'zod';
import { fault } from '../schema/errors.ts';
import type { CursorCodec } from './cursor.ts';

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
  /** @param occurredAt null for a place between events, which a stream can go on from and a list cannot */
  encode(seq: number, occurredAt: number | null): string;
  /** @throws GraphQLError BAD_CURSOR */
  decode(cursor: string): EventPlace;
}

/** Opaque cursors of the log; they carry the store's epoch, because numbers mean nothing in another store. */
export function createEventCursors(codec: CursorCodec, epoch: string): EventCursors {
  return {
    encode: (seq, occurredAt) => codec.encode(KIND, [epoch, seq, occurredAt]),
    decode(cursor) {
      const payload = Payload.safeParse(codec.decode(KIND, cursor));
      if (!payload.success) throw fault('BAD_CURSOR', 'This cursor is not one of an event or of the event stream.');
      const [of, seq, occurredAt] = payload.data;
      return { epoch: of, seq, occurredAt };
    },
  };
}
