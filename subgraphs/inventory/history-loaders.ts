import { fault } from '../../schema/errors.ts';
import type { AccessScope } from '../../schema/principal.ts';
import {
  type AvailabilityInputs,
  type DeviceGroup,
  isGroupVisible,
  readAvailabilityInputs,
  readGroupDevices,
  readTimezones,
} from '../../storage/availability-inputs.ts';
import type { PageArgs } from '../../storage/connection.ts';
import type { CursorCodec } from '../../storage/cursor.ts';
import type { Database } from '../../storage/database.ts';
import {
  countSegments,
  type HistoryDevice,
  readSegmentPages,
  type Span,
  type StatusSegment,
} from '../../storage/status-segments.ts';
import { createArgsLoader, createValueLoader } from '../batch-loaders.ts';
import type { Listing } from '../listing.ts';
import { type Availability, availabilityOf } from './availability/availability.ts';
import { createBucketBounds } from './availability/buckets.ts';
import { type Timeline, timelineOf } from './availability/timeline.ts';
import { parseHistoryWindow, parseWindow, type TimeWindow } from './availability/window.ts';

/** A large customer; beyond it availability is asked for by site or by device. */
const MAX_DEVICES = 20_000;
/** Between two reads others have their turn. */
const DEVICES_PER_READ = 500;
/** Of one answer: some 100 MB while it is made. */
const MAX_PIECES = 1_000_000;

/** What one request is told of the past. Every window of it ends at the same instant. */
export interface HistoryLoaders {
  /** @throws GraphQLError BAD_USER_INPUT, BAD_CURSOR */
  history(device: HistoryDevice, window: TimeWindow, page: PageArgs): Promise<Listing<StatusSegment>>;
  /** @throws GraphQLError BAD_USER_INPUT */
  deviceAvailability(device: HistoryDevice, window: TimeWindow): Promise<Availability>;
  /** Null for an org or a site that the principal does not see. @throws GraphQLError BAD_USER_INPUT */
  groupAvailability(group: DeviceGroup, window: TimeWindow): Promise<Availability | null>;
}

interface DeviceLoader<Args, Value> {
  load(device: HistoryDevice, args: Args): Promise<Value>;
}

/** Rows are at hand where a field of a device is resolved: a batch takes them as they are. */
function createDeviceLoader<Args, Value>(
  load: (devices: readonly HistoryDevice[], args: Args) => Promise<ReadonlyMap<string, Value>>,
): DeviceLoader<Args, Value> {
  const devices = new Map<string, HistoryDevice>();
  const loader = createArgsLoader((ids, args: Args) =>
    load(
      ids.flatMap((id) => devices.get(id) ?? []),
      args,
    ),
  );
  return {
    load(device, args) {
      devices.set(device.id, device);
      return loader.load(device.id, args);
    },
  };
}

/** @param now milliseconds since the epoch, for the whole request */
export function createHistoryLoaders(
  db: Database,
  cursors: CursorCodec,
  access: AccessScope,
  now: number,
): HistoryLoaders {
  const pages = createDeviceLoader((devices, { span, page }: { readonly span: Span; readonly page: PageArgs }) =>
    readSegmentPages(db, cursors, devices, span, page),
  );
  const counts = createDeviceLoader(async (devices, span: Span) => {
    const found = await countSegments(db, devices, span);
    return new Map(devices.map(({ id }) => [id, found.get(id) ?? 0]));
  });
  const boundsOf = createBucketBounds();
  const timezones = createValueLoader((ids) => readTimezones(db, ids), 'UTC');
  const timelines = createDeviceLoader(async (devices, span: Span) => {
    const inputs = await readAvailabilityInputs(db, devices, span);
    return new Map(devices.map((device) => [device.id, deviceTimeline(device, inputs, span)]));
  });

  const timezoneOf = (siteId: string | null): Promise<string> | string =>
    siteId === null ? 'UTC' : timezones.load(siteId);

  return {
    async history(device, window, page) {
      const span = parseHistoryWindow(window, now);
      return { page: await pages.load(device, { span, page }), total: () => counts.load(device, span) };
    },

    async deviceAvailability(device, window) {
      const span = parseWindow(window, now);
      const [timeline, zone] = await Promise.all([timelines.load(device, span), timezoneOf(device.site_id)]);
      return availabilityOf([timeline], inSeconds(span), zone, boundsOf);
    },

    async groupAvailability(group, window) {
      const span = parseWindow(window, now);
      if (!(await isGroupVisible(db, access, group))) return null;
      const all: Timeline[] = [];
      let pieces = 0;
      for (let after = ''; ; ) {
        const devices = await readGroupDevices(db, access, group, after, DEVICES_PER_READ);
        const last = devices.at(-1);
        if (last === undefined) break;
        const inputs = await readAvailabilityInputs(db, devices, span);
        for (const device of devices) {
          const timeline = deviceTimeline(device, inputs, span);
          pieces += timeline.length;
          all.push(timeline);
        }
        if (all.length > MAX_DEVICES || pieces > MAX_PIECES) {
          throw fault(
            'BAD_USER_INPUT',
            'There is too much history for this window: choose a shorter one, or ask by site or by device.',
          );
        }
        if (devices.length < DEVICES_PER_READ) break;
        after = last.id;
        await new Promise((resolve) => setImmediate(resolve));
      }
      return availabilityOf(
        all,
        inSeconds(span),
        await timezoneOf(group.column === 'site_id' ? group.id : null),
        boundsOf,
      );
    },
  };
}

function deviceTimeline(device: HistoryDevice, inputs: AvailabilityInputs, span: Span): Timeline {
  return timelineOf(
    {
      segments: inputs.segmentsOf(device),
      firstSeenAt: device.first_seen_at,
      removedAt: device.removed_at,
      maintenance: inputs.maintenanceOf(device),
      outages: inputs.outagesOf(device),
    },
    inSeconds(span),
  );
}

function inSeconds({ from, to }: Span): Span {
  return { from: from / 1_000, to: to / 1_000 };
}
