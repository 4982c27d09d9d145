/**
 * Events by asking: the service has no way to push to a back end. Each round reads again from a little before the newest
 * event, and now and then from further back, because events are created late with the earlier time at which they were;
 * ids that were delivered are left out, and the newest is where a next start resumes.
 *
 * @see "API: Working with events" of the vendor's help
 */
import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { ListenItem } from '../../adapter-kit/adapter.ts';
import { isWorkflowTag, RULE_BY_NAME } from './event-rules.ts';
import { readCameras } from './live-reads.ts';
import type { Inventory } from './listing.ts';
import { parseTime } from './time.ts';
import { type PolledEvent, type RawRecord, WireEvent, withoutLinks } from './wire.ts';

/** What every round reads again: events of one moment come in any order, and clocks differ by seconds. */
const OVERLAP_MS = 60_000;
/** How often the whole window of late events is read again. */
const SWEEP_EVERY_MS = 600_000;
const MINUTE_MS = 60_000;
/** Ids remembered; beyond it the oldest are forgotten, and what comes twice then is recognised by the pipeline. */
const MAX_SEEN = 100_000;

/** Ids that were delivered by this adapter, whatever became of its listeners, with the time of their event. */
export type SeenEvents = Map<string, number>;

export interface EventFeed extends Pick<Inventory, 'client' | 'settings' | 'memory' | 'once' | 'now'> {
  readonly origin: string;
  readonly seen: SeenEvents;
}

interface Found {
  /** What makes it the same event again: its id, or where it has none all that it says. */
  readonly key: string;
  readonly record: RawRecord;
  readonly event: WireEvent | null;
  /** Null when it says no instant. */
  readonly at: number | null;
}

function read(raw: RawRecord): Found {
  const record = withoutLinks(raw);
  const parsed = WireEvent.safeParse(record);
  if (parsed.success)
    return { key: parsed.data.id, record, event: parsed.data, at: parseTime(parsed.data.time)?.getTime() ?? null };
  return { key: createHash('sha256').update(JSON.stringify(record)).digest('hex'), record, event: null, at: null };
}

function isOfConnection({ event }: Found): boolean {
  return event !== null && RULE_BY_NAME.get(event.name)?.family === 'HEALTH';
}

/** What no search reaches back to any more. */
function forget(seen: SeenEvents, before: number): void {
  for (const [key, at] of seen) if (at < before || seen.size > MAX_SEEN) seen.delete(key);
}

/** Where to begin: the newest event delivered, as `listen` said it; null for a listener that is the first. */
function readToken(token: string | null): number | null {
  const at = token === null ? Number.NaN : Date.parse(token);
  return Number.isNaN(at) ? null : at;
}

/**
 * @returns when `signal` fires
 * @throws AdapterError when the service does not answer or refuses: whoever listens begins anew with the last token
 */
export async function* followEvents(
  feed: EventFeed,
  resumeToken: string | null,
  signal: AbortSignal,
): AsyncGenerator<ListenItem> {
  const { settings, seen } = feed;
  const windowMs = settings.lateEventMinutes * MINUTE_MS;
  // Without a token there may have been a listener before, to whom nothing had happened yet: what happened since is in the
  // window.
  let newest = readToken(resumeToken) ?? feed.now().getTime();
  let sweptAt = Number.NEGATIVE_INFINITY;
  try {
    while (!signal.aborted) {
      const startedAt = feed.now().getTime();
      const isSweep = startedAt - sweptAt >= SWEEP_EVERY_MS;
      const from = newest - (isSweep ? windowMs : OVERLAP_MS);
      const pages = feed.client.searchEvents({ from: new Date(from) }, settings.pageSize, signal);
      for await (const { items } of pages) {
        const fresh = items.map(({ value }) => read(value)).filter(({ key }) => !seen.has(key));
        const states = await readStates(feed, fresh, signal);
        for (const found of fresh) {
          // A camera whose clock is ahead must not take us past what the others will say.
          if (found.at !== null) newest = Math.max(newest, Math.min(found.at, feed.now().getTime()));
          yield itemOf(feed, found, states.get(found.key), newest);
          // Only now: whoever took it has made it durable before asking for the next.
          seen.set(found.key, found.at ?? startedAt);
        }
      }
      if (isSweep) {
        sweptAt = startedAt;
        forget(seen, from - OVERLAP_MS);
      }
      await wait(settings.eventIntervalMs, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

type CameraState = NonNullable<PolledEvent['camera']>;

/**
 * What a connection event means is not documented, so that its camera is asked. Only the newest event of a camera gets the
 * answer: how it was at the earlier ones is over.
 */
async function readStates(
  feed: EventFeed,
  fresh: readonly Found[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, CameraState>> {
  const newest = new Map<string, Found>();
  for (const found of fresh) {
    if (found.event === null || !isOfConnection(found)) continue;
    // Tags of people's work on an event have their names in them.
    const tags = [...found.event.meta.keys()].filter((tag) => !isWorkflowTag(tag)).slice(0, 20);
    feed.once(`connection ${tags.toSorted().join(' ')}`, { tags }, 'A connection event came with these tags');
    const known = newest.get(found.event.camid);
    if (known === undefined || (found.at ?? 0) >= (known.at ?? 0)) newest.set(found.event.camid, found);
  }
  if (newest.size === 0) return new Map();
  const cameras = await readCameras(feed, [...newest.keys()], signal);
  const checkedAt = feed.now().toISOString();
  const states = new Map<string, CameraState>();
  for (const [cameraId, { key }] of newest) {
    const camera = cameras.get(cameraId);
    if (camera !== undefined) states.set(key, { status: camera.status, name: camera.name, checkedAt });
  }
  return states;
}

function itemOf(
  { origin, now, once }: EventFeed,
  { record, event }: Found,
  camera: CameraState | undefined,
  newest: number,
): ListenItem {
  if (event !== null && !RULE_BY_NAME.has(event.name))
    once(`event ${event.name}`, { name: event.name.slice(0, 80) }, 'An event came under a name that no table has');
  const polled: PolledEvent = { event: record, origin, ...(camera === undefined ? {} : { camera }) };
  return {
    message: {
      body: new TextEncoder().encode(JSON.stringify(polled)),
      headers: { 'content-type': 'application/json' },
      source: 'POLL',
      receivedAt: now(),
    },
    resumeToken: new Date(newest).toISOString(),
  };
}
