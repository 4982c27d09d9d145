/**
 * The calls of VXG's core API, as the service answers them.
 *
 * @see "REST API", "API: Working with events", "How to Get Video, Clips and Images" of the vendor's help
 */
import { z } from 'zod';
import type { FaultBoard } from './faults.ts';
import { type Installation, naive } from './installation.ts';
import type { MediaStore } from './media.ts';
import type { StoredEvent } from './state.ts';
import type { Caller, Tokens } from './tokens.ts';
import type { WorldDevice } from './world.ts';

export interface Call {
  readonly method: string;
  /** Segments behind `/api/`. */
  readonly path: readonly string[];
  readonly pathname: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly caller: Caller;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

export interface Clip {
  readonly id: number;
  readonly cameraId: number;
  readonly eventTime: string | null;
  pollsLeft: number;
}

export interface ApiParts {
  readonly installation: Installation;
  readonly tokens: Tokens;
  readonly board: FaultBoard;
  readonly clips: Clip[];
  readonly store: MediaStore;
}

/** The service gives fewer than asked for beyond it. */
const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 20;

const NewEvent = z.object({
  camid: z.int(),
  name: z.string(),
  time: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$/),
  meta: z.record(z.string(), z.string()).default({}),
});
const NewType = z.object({ name: z.string().min(1).max(64), notify: z.boolean().optional() });
const NewTag = z.object({ tag: z.string().min(1).max(100), data: z.string() });
const NewTagValue = z.object({ data: z.string() });
const NewClip = z.object({
  title: z.string(),
  start: z.string(),
  end: z.string(),
  event_time: z.string().optional(),
});

const NOT_FOUND: Answer = { status: 404, body: { errorDetail: 'Not found' } };
const refuse = (status: number, errorDetail: string): Answer => ({ status, body: { errorDetail } });

export function answerApi(parts: ApiParts, call: Call): Answer {
  const [version, ...path] = call.path;
  // Paths end with a blank segment: the service wants the slash.
  if (path.at(-1) !== '' && path.at(-2) !== 'meta') return NOT_FOUND;
  const route = `${call.method} ${version} ${path.map((part) => (/^\d+$/.test(part) ? '#' : part)).join('/')}`;
  switch (route) {
    case 'GET v2 cameras/':
    case 'GET v5 channels/':
      return listCameras(parts, call);
    case 'GET v2 cameras/#/':
    case 'GET v3 channels/#/':
    case 'GET v5 channels/#/':
      return oneCamera(parts, call, Number(path[1]), version ?? '');
    case 'GET v3 channel_groups/':
      return call.caller.scheme === 'LKey' ? list(parts, call, groups(parts)) : refuse(403, 'license key only');
    case 'GET v6 servers/':
      return call.caller.scheme === 'LKey' ? list(parts, call, servers(parts)) : refuse(403, 'license key only');
    case 'GET v2 cameras/#/event_processing/events/':
      return list(parts, call, types(parts, Number(path[1])));
    case 'POST v2 cameras/#/event_processing/events/':
      return createType(parts, call, Number(path[1]));
    case 'GET v2 storage/events/':
      return list(parts, call, searchEvents(parts, call));
    case 'POST v2 storage/events/':
      return createEvent(parts, call);
    case 'POST v2 storage/events/#/meta/':
      return tagEvent(parts, call, Number(path[2]));
    case 'GET v2 storage/data/':
      return list(parts, call, recordings(parts, call));
    case 'GET v2 storage/clips/':
      return list(parts, call, clipsAt(parts, call));
    case 'POST v4 clips/':
      return createClip(parts, call);
    case 'GET v4 clips/#/':
      return oneClip(parts, Number(path[1]));
    case 'GET v4 live/image/':
      return {
        status: 200,
        body: { url: 'https://media.invalid/live.jpg?sig=live-secret-word', expire: naive(parts.installation.now()) },
      };
    default:
      return route.startsWith('PUT v2 storage/events/#/meta/') ? changeTag(parts, call, path) : NOT_FOUND;
  }
}

/** The envelope of every list. Its `next` is a path to append to the host. */
function list({ board }: ApiParts, { query, pathname }: Call, all: readonly unknown[]): Answer {
  const limit = Math.min(Number(query.get('limit') ?? DEFAULT_LIMIT), MAX_LIMIT);
  const offset = Number(query.get('offset') ?? 0);
  if (!Number.isInteger(limit) || limit < 1 || !Number.isInteger(offset) || offset < 0) return refuse(400, 'paging');
  const after = new URLSearchParams(query);
  after.set('limit', String(limit));
  after.set('offset', String(board.faults.next === 'circle' ? offset : offset + limit));
  const host = board.faults.next === 'foreign' ? 'https://elsewhere.invalid' : '';
  const hasNext = offset + limit < all.length;
  const objects = all.slice(offset, offset + limit);
  const broken = objects.map((entry, index) => (index < board.faults.broken ? { ...Object(entry), id: null } : entry));
  const meta = {
    limit,
    offset,
    next: hasNext ? `${host}${pathname}?${after.toString()}` : null,
    previous: null,
    total_count: all.length + board.faults.totalOff,
  };
  return { status: 200, body: { meta, objects: broken } };
}

function camerasOf({ installation }: ApiParts, caller: Caller): readonly WorldDevice[] {
  const cameras = installation.world.devices.filter(({ type }) => type !== 'server');
  if (caller.scheme === 'Acc') return cameras.filter(({ id }) => id === caller.cameraId);
  if (caller.scheme === 'SI') return cameras.filter(({ site }) => site.groupId === caller.groupId);
  return cameras;
}

function hasTags(meta: Readonly<Record<string, string>>, query: URLSearchParams): boolean {
  const tags = (name: string): string[] => (query.get(name) ?? '').split(',').filter((tag) => tag !== '');
  return (
    tags('meta').every((tag) => Object.hasOwn(meta, tag)) && !tags('meta_not').some((tag) => Object.hasOwn(meta, tag))
  );
}

function listCameras(parts: ApiParts, call: Call): Answer {
  const { installation } = parts;
  const records = camerasOf(parts, call.caller)
    .filter(({ meta }) => hasTags(meta, call.query))
    .map((device) => installation.cameraRecord(device, false));
  const storage = { id: installation.world.storageId, name: 'storage', status: 'inactive', meta: { isstorage: '' } };
  const isWanted = call.caller.scheme === 'LKey' && hasTags(storage.meta, call.query);
  const { shift } = parts.board.faults;
  const turned = [...records.slice(shift), ...records.slice(0, shift)];
  return list(parts, call, isWanted ? [...turned, storage] : turned);
}

function oneCamera(parts: ApiParts, { caller }: Call, id: number, version: string): Answer {
  const device = camerasOf(parts, caller).find((each) => each.id === id);
  if (device === undefined) return NOT_FOUND;
  const token = version === 'v5' ? { token: parts.tokens.camera(id, 'all') } : {};
  return { status: 200, body: { ...parts.installation.cameraRecord(device, version === 'v3'), ...token } };
}

function groups({ installation, tokens }: ApiParts): readonly unknown[] {
  const { world } = installation;
  const cameras = world.devices.filter(({ type }) => type !== 'server');
  const ofSites = world.sites.map((site) => ({
    id: site.groupId,
    name: site.name,
    token: tokens.group(site.groupId),
    channels: cameras.filter((camera) => camera.site === site).map(({ id }) => id),
    include_all_channels: false,
  }));
  const view = cameras.filter((_, index) => index % 3 === 0).map(({ id }) => id);
  return [
    {
      id: world.viewGroupId,
      name: 'Night watch',
      token: tokens.group(world.viewGroupId),
      channels: view,
      include_all_channels: false,
    },
    ...ofSites,
  ];
}

function servers({ installation }: ApiParts): readonly unknown[] {
  return installation.world.devices
    .filter(({ type }) => type === 'server')
    .map((server) => installation.serverRecord(server));
}

function types({ installation }: ApiParts, cameraId: number): readonly unknown[] {
  return installation.typesOf(cameraId).map((name) => ({
    name,
    caps: { can_be_triggered: name === 'motion', can_record: false, can_snapshot: false, is_periodic: false },
    notify: true,
    receive: false,
    custom: !/^(motion|sound|net|snapshot|record|memorycard)$/.test(name),
  }));
}

/** Writing takes a camera's own token, or the account's key. */
function mayWrite({ caller }: Call, cameraId: number): boolean {
  return (
    caller.scheme === 'LKey' || (caller.scheme === 'Acc' && caller.cameraId === cameraId && caller.access === 'all')
  );
}

function createType({ installation }: ApiParts, call: Call, cameraId: number): Answer {
  if (!mayWrite(call, cameraId)) return refuse(403, 'no access');
  const wanted = NewType.safeParse(call.body);
  if (!wanted.success) return refuse(400, 'name');
  if (!installation.addType(cameraId, wanted.data.name)) return refuse(400, 'event already exists');
  return { status: 201, body: { name: wanted.data.name, notify: true, receive: false, custom: true } };
}

function searchEvents(parts: ApiParts, { query, caller }: Call): readonly unknown[] {
  const open = new Set(camerasOf(parts, caller).map(({ id }) => id));
  const cameraIds = (query.get('camid') ?? '').split(',').filter(Boolean).map(Number);
  const names = (query.get('events') ?? '').split(',').filter(Boolean);
  const start = query.get('start') ?? '';
  const end = query.get('end') ?? '~';
  // Naive instants of one format sort as text does.
  const found = parts.installation
    .events()
    .filter(({ camid }) => open.has(camid) && (cameraIds.length === 0 || cameraIds.includes(camid)))
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .filter(({ time, meta }) => time >= start && time < end && hasTags(meta, query))
    .toSorted((one, other) => (one.time < other.time ? -1 : 1));
  if (query.get('order_by') === '-time') found.reverse();
  return found.map((event) => eventRecord(event, query.get('include_meta') === 'true'));
}

function eventRecord(
  { id, camid, name, time, meta }: StoredEvent,
  withMeta: boolean,
): Readonly<Record<string, unknown>> {
  // A signed link is another one in every answer.
  const thumb = { url: `https://media.invalid/${id}.jpg?sig=thumb-secret-word-${Math.random()}` };
  return { id, camid, name, alias: null, time, thumb, ...(withMeta ? { meta } : {}) };
}

function createEvent(parts: ApiParts, call: Call): Answer {
  const wanted = NewEvent.safeParse(call.body);
  if (!wanted.success) return refuse(400, 'camid, name, time');
  const { camid, name, time, meta } = wanted.data;
  if (!mayWrite(call, camid)) return refuse(403, 'no access');
  if (!parts.installation.typesOf(camid).includes(name)) return refuse(400, 'no such event type');
  const event = parts.installation.emit({ camid, name, meta, at: new Date(`${time}Z`) });
  return { status: 201, body: eventRecord(event, true) };
}

function eventOf({ installation }: ApiParts, id: number): StoredEvent | undefined {
  return installation.events().find((event) => event.id === id);
}

function tagEvent(parts: ApiParts, { body }: Call, id: number): Answer {
  const event = eventOf(parts, id);
  const wanted = NewTag.safeParse(body);
  if (event === undefined) return NOT_FOUND;
  if (!wanted.success) return refuse(400, 'tag, data');
  if (Object.hasOwn(event.meta, wanted.data.tag)) return refuse(400, 'tag already exists');
  event.meta[wanted.data.tag] = wanted.data.data;
  return { status: 201, body: wanted.data };
}

function changeTag(parts: ApiParts, { body }: Call, path: readonly string[]): Answer {
  const event = eventOf(parts, Number(path[2]));
  const tag = path[4] ?? '';
  const wanted = NewTagValue.safeParse(body);
  if (event === undefined || !Object.hasOwn(event.meta, tag)) return NOT_FOUND;
  if (!wanted.success) return refuse(400, 'data');
  event.meta[tag] = wanted.data.data;
  return { status: 200, body: { tag, data: wanted.data.data } };
}

function recordings({ store }: ApiParts, { query }: Call): readonly unknown[] {
  const { camid, start = '', end = '' } = Object.fromEntries(query);
  return [{ start, end, url: store.link(`/records/${camid}/${start.replaceAll(':', '')}.mp4`) }];
}

function clipRecord({ id, pollsLeft }: Clip): Readonly<Record<string, unknown>> {
  return pollsLeft > 0
    ? { id, status: 'pending' }
    : { id, status: 'done', url: `https://media.invalid/clip-${id}.mp4?sig=clip-secret-word`, thumb: null };
}

function clipsAt({ clips }: ApiParts, { query }: Call): readonly unknown[] {
  return clips.filter(({ eventTime }) => eventTime === query.get('event_time')).map(clipRecord);
}

function createClip({ clips, board }: ApiParts, { body, caller }: Call): Answer {
  if (caller.scheme !== 'Acc' || caller.access !== 'all') return refuse(403, 'a camera token with all access');
  const wanted = NewClip.safeParse(body);
  if (!wanted.success) return refuse(400, 'title, start, end');
  const clip: Clip = {
    id: 400 + clips.length,
    cameraId: caller.cameraId,
    eventTime: wanted.data.event_time ?? null,
    pollsLeft: board.faults.clipPolls,
  };
  clips.push(clip);
  return { status: 201, body: clipRecord(clip) };
}

function oneClip({ clips }: ApiParts, id: number): Answer {
  const clip = clips.find((each) => each.id === id);
  if (clip === undefined) return NOT_FOUND;
  clip.pollsLeft -= 1;
  return { status: 200, body: clipRecord(clip) };
}
