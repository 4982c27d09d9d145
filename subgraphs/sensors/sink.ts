// Between the sources' loops and whoever listens: what is news goes on, one message at a time.
import type { ListenItem } from '../../adapter-kit/adapter.ts';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import { type Catalogue, knownOf } from './catalogue.ts';
import { encodeEnvelope, encodePayload, type Envelope, MAX_CHILDREN, MAX_PAYLOAD_BYTES } from './envelope.ts';
import { readMessage } from './read.ts';
import { type KnownDevice, keyOf, type Reading } from './reading.ts';
import type { Tracker } from './tracker.ts';

/** Devices whose last reading is kept for live reads. */
const MAX_LAST = 20_000;

export interface Arrival {
  readonly dialect: Envelope['dialect'];
  readonly sourceId: string;
  readonly address: string;
  readonly device: KnownDevice;
  readonly payload: Uint8Array;
  readonly isInitial?: boolean;
  readonly aliases?: Readonly<Record<string, string>>;
  /** Devices that report through this one. */
  readonly children?: readonly KnownDevice[];
}

export interface Sink {
  /** Resolves when whoever listens has taken it, or when it was nothing new. */
  deliver(arrival: Arrival): Promise<void>;
}

export interface SinkParts {
  readonly catalogue: Catalogue;
  readonly tracker: Tracker;
  readonly lastReadings: Map<string, unknown>;
  readonly now: () => Date;
  /** Told of what cannot be read; the listener goes on. */
  readonly onUnreadable: (arrival: Arrival, reason: string) => void;
  readonly put: (item: ListenItem) => Promise<void>;
}

export function createSink({ catalogue, tracker, lastReadings, now, onUnreadable, put }: SinkParts): Sink {
  function remember(readings: readonly Reading[], at: string): void {
    for (const { nativeId, signal, metadata } of readings) {
      if (signal === 'presence') continue;
      if (lastReadings.size >= MAX_LAST) lastReadings.clear();
      lastReadings.set(nativeId, { at, value: metadata });
    }
  }

  async function send(arrival: Arrival, children: readonly KnownDevice[]): Promise<void> {
    const at = now();
    const envelope: Envelope = {
      sensors: 1,
      at: at.toISOString(),
      dialect: arrival.dialect,
      source: arrival.sourceId,
      address: arrival.address,
      device: knownOf(arrival.device),
      isInitial: arrival.isInitial === true,
      news: [],
      children: children.map(({ nativeId, siteId, name }) => [nativeId, siteId, name, tracker.presenceOf(nativeId)]),
      aliases: { ...arrival.aliases },
      ...encodePayload(arrival.payload),
    };
    let readings: readonly Reading[];
    try {
      readings = readMessage(envelope, catalogue);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return onUnreadable(arrival, error.message);
    }
    remember(readings, envelope.at);
    const news = readings.filter((reading) => tracker.take(reading)).map(keyOf);
    const isReport = readings.some(({ signal }) => signal !== 'presence') && arrival.isInitial !== true;
    const isDue = isReport && tracker.isLifeSignDue(arrival.device.nativeId, at.getTime());
    if (news.length === 0 && !isDue) return;
    const body = encodeEnvelope({ ...envelope, news });
    await put({
      message: { body, headers: { 'content-type': 'application/json' }, source: 'STREAM', receivedAt: at },
      resumeToken: tracker.token(),
    });
  }

  return {
    async deliver(arrival) {
      if (arrival.payload.length > MAX_PAYLOAD_BYTES) return onUnreadable(arrival, 'it is too large');
      const children = arrival.children ?? [];
      await send(arrival, children.slice(0, MAX_CHILDREN));
      for (let from = MAX_CHILDREN; from < children.length; from += MAX_CHILDREN)
        await send(arrival, children.slice(from, from + MAX_CHILDREN));
    },
  };
}
