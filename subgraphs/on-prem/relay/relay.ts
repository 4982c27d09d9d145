// The middle of the relay: what it is given becomes lines of a queue on disk, and from there deliveries to the cloud.
import { createHash, randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { createPushClient, MAX_QUEUED, type PushClientOptions, type PushItem } from '../client.ts';
import type { RelayConfig } from './config.ts';
import { openDurableQueue } from './durable-queue.ts';

/** What cannot be taken, in words for who gave it. */
export class RelayInputError extends Error {
  override readonly name = 'RelayInputError';
}

/** The queue is full: come again when the cloud has taken some of it. */
export class RelayFullError extends Error {
  override readonly name = 'RelayFullError';
}

/** How it stands; counts are since the start. */
export interface RelayStatus {
  readonly queued: number;
  readonly accepted: number;
  readonly taken: number;
  readonly refused: number;
  readonly attempts: number;
  /** RFC 3339; null until the cloud took something. */
  readonly lastTakenAt: string | null;
  /** The same of the last list of devices that was accepted. */
  readonly lastListAt: string | null;
}

export interface Relay {
  /**
   * Takes the seed contract's JSON: a list of devices, a health event, a list of events, or `{ "events": [...] }`.
   *
   * @returns how many entries of the queue it became; they are on disk then
   * @throws RelayInputError, RelayFullError
   */
  accept(body: unknown): Promise<number>;
  status(): RelayStatus;
  /** Stops sending; what is queued stays on disk. */
  close(): Promise<void>;
}

export interface RelayDeps extends Pick<PushClientOptions, 'post' | 'sleep'> {
  readonly config: Pick<RelayConfig, 'cloud' | 'queueDir' | 'listsAreComplete'> &
    Partial<Pick<RelayConfig, 'heartbeatSeconds'>>;
  readonly logger: Logger;
  readonly now: () => Date;
}

/** Devices of one part of a list: some 50 KiB. */
const PART_DEVICES = 300;
/** Events of one hand-over. */
const MAX_EVENTS = 10_000;

const RawRecord = z.record(z.string(), z.unknown());
const Listed = z.object({ devices: z.array(RawRecord) });
const Held = z.object({ events: z.array(RawRecord).min(1).max(MAX_EVENTS) });
const Several = z.array(RawRecord).min(1).max(MAX_EVENTS);

/** An id that a repetition has too, for adapters that give none: of what the event says. */
function withId(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (value['event_id'] !== undefined || value['id'] !== undefined) return value;
  const hash = createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
  return { ...value, event_id: `relay-${hash}` };
}

function eventsOf(body: unknown): readonly PushItem[] {
  const held = Held.safeParse(body);
  const several = Several.safeParse(body);
  const one = RawRecord.safeParse(body);
  const values = held.success ? held.data.events : several.success ? several.data : one.success ? [one.data] : [];
  if (values.length === 0) throw new RelayInputError(`neither devices nor 1 to ${MAX_EVENTS} events`);
  if (values.some((value) => value['device_id'] === undefined && value['deviceId'] === undefined))
    throw new RelayInputError('an event names no device_id');
  return values.map((value) => ({ kind: 'EVENT', value: withId(value) }));
}

/** A list in parts that say which list they belong to, where a list is everything there is. */
function listOf(body: Readonly<Record<string, unknown>>, isComplete: boolean, at: Date): readonly PushItem[] {
  const { devices, ...rest } = Listed.loose().parse(body);
  // An adapter that marks its lists has divided them itself.
  if (rest['list'] !== undefined) return [{ kind: 'BODY', value: { sent_at: at.toISOString(), ...body } }];
  const id = `${at.toISOString()}-${randomUUID().slice(0, 8)}`;
  const parts = Math.max(1, Math.ceil(devices.length / PART_DEVICES));
  return Array.from({ length: parts }, (_, index) => ({
    kind: 'BODY',
    value: {
      ...rest,
      ...(isComplete ? { list: { id, part: index + 1, parts } } : {}),
      sent_at: at.toISOString(),
      devices: devices.slice(index * PART_DEVICES, (index + 1) * PART_DEVICES),
    },
  }));
}

export async function createRelay({ config, logger, now, post, sleep }: RelayDeps): Promise<Relay> {
  const queue = await openDurableQueue(config.queueDir);
  if (queue.damaged > 0) logger.warn({ lines: queue.damaged }, 'Lines of the queue were damaged and left out');
  let sent = queue.backlog.length;
  let queued = sent;
  let accepted = 0;
  let lastTakenAt: string | null = null;
  let lastListAt: string | null = null;
  let isAway = false;

  const client = createPushClient({
    now,
    ...(sleep === undefined ? {} : { sleep }),
    ...(config.heartbeatSeconds === undefined ? {} : { heartbeatMs: config.heartbeatSeconds * 1_000 }),
    backlog: queue.backlog,
    async post(url, headers, body) {
      try {
        const status = await (post ?? unreachable)(url, headers, body);
        const isTaken = status >= 200 && status < 300;
        if (isTaken) lastTakenAt = now().toISOString();
        tellLine(isTaken, { status });
        return status;
      } catch (error) {
        tellLine(false, { err: error });
        throw error;
      }
    },
    onQueue(items) {
      queue.taken(sent - items.length);
    },
    onRefused(batch, status) {
      logger.error(
        { status, items: batch.length },
        'The cloud refused a delivery for good; it is kept in refused.ndjson',
      );
      const lines = batch.map((item) => `${JSON.stringify(item)}\n`).join('');
      appendFileSync(join(config.queueDir, 'refused.ndjson'), lines, { mode: 0o600 });
    },
  });

  /** Once when the cloud goes away, once when it is back. */
  function tellLine(isTaken: boolean, why: object): void {
    if (isTaken === !isAway) return;
    isAway = !isTaken;
    if (isAway)
      logger.warn({ ...why, queued: sent - client.counts().taken }, 'The cloud takes nothing; it is tried again');
    else logger.info('The cloud takes deliveries again');
  }

  client.connect(config.cloud);

  return {
    async accept(body) {
      const record = RawRecord.safeParse(body);
      const isList = record.success && Listed.safeParse(record.data).success;
      if (record.success && record.data['devices'] !== undefined && !isList)
        throw new RelayInputError('devices is not a list of objects');
      const items = isList && record.success ? listOf(record.data, config.listsAreComplete, now()) : eventsOf(body);
      const { taken, refused } = client.counts();
      if (queued - taken - refused + items.length > MAX_QUEUED) throw new RelayFullError('the queue is full');
      queued += items.length;
      try {
        await queue.append(items);
      } catch (error) {
        queued -= items.length;
        throw error;
      }
      accepted += items.length;
      if (isList) lastListAt = now().toISOString();
      for (const item of items) {
        sent += 1;
        client.send(item);
      }
      return items.length;
    },
    status() {
      const { taken, refused, attempts } = client.counts();
      return { queued: queued - taken - refused, accepted, taken, refused, attempts, lastTakenAt, lastListAt };
    },
    async close() {
      client.close();
      await queue.close();
    },
  };
}

function unreachable(): Promise<number> {
  return Promise.reject(new Error('no way to the cloud is configured'));
}
