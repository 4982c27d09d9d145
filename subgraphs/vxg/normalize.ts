// Pure: the service's records to ours.
import { isIP } from 'node:net';
import type { DeviceDraft, LiveDevice, SiteDraft, StatusClaim } from '../../adapter-kit/model.ts';
import type { VxgSettings } from './settings.ts';
import type { WireCamera, WireGroup, WireServer } from './wire.ts';
import { CAPABILITIES, type Kind, PLACE_LEVELS, SITE_GROUP_PREFIX, STATUS_WORDS, TAGS, TYPE_OF } from './words.ts';

/** Before the id of a CNVR server, which could be a camera's as well. */
const SERVER_PREFIX = 'server:';
const SITE_BY_GROUP = 'group:';
const SITE_BY_LOCATION = 'location:';

type SiteSettings = Pick<VxgSettings, 'siteGroups' | 'defaultSiteId' | 'exposeSourceHost'>;

/** What is known beside a camera's own record. */
export interface Surroundings {
  readonly settings: SiteSettings;
  /** Groups by camera id. */
  readonly groupsOf: ReadonlyMap<string, readonly WireGroup[]>;
  /** Native id of a gateway by its own id and by its tag. */
  readonly gatewayOf: ReadonlyMap<string, string>;
  /** Cameras that should record all the time and were seen without twice in a row. */
  readonly notRecording: ReadonlySet<string>;
}

export function surround(
  settings: SiteSettings,
  groups: readonly WireGroup[],
  gateways: readonly WireCamera[],
): Surroundings {
  const groupsOf = new Map<string, WireGroup[]>();
  for (const group of groups) {
    for (const id of group.channels ?? []) {
      const known = groupsOf.get(id);
      if (known === undefined) groupsOf.set(id, [group]);
      else known.push(group);
    }
  }
  const gatewayOf = new Map<string, string>();
  for (const { id, meta } of gateways) {
    gatewayOf.set(id, id);
    const tag = meta.get(TAGS.gatewayId);
    if (tag !== undefined && tag !== '') gatewayOf.set(tag, id);
  }
  return { settings, groupsOf, gatewayOf, notRecording: new Set() };
}

/** Pseudo-channels that only stand for storage. */
export function isStorage({ meta }: WireCamera): boolean {
  return meta.has(TAGS.storage);
}

function kindOf({ meta }: WireCamera): Kind {
  return meta.has(TAGS.gateway) ? 'gateway' : 'camera';
}

function isSiteGroup(group: WireGroup, { siteGroups }: SiteSettings): boolean {
  return siteGroups.includes(group.id) || (group.name !== null && siteGroups.includes(group.name));
}

function filled(text: string | undefined): string | null {
  return text === undefined || text.trim() === '' ? null : text.trim();
}

/** Where a camera is, by the first rule that knows: the service's own site, a group that is one, its location, the default. */
export function siteIdOf(camera: WireCamera, { settings, groupsOf }: Surroundings): string {
  const site = filled(camera.meta.get(TAGS.site));
  if (site !== null) return site;
  const group = groupsOf.get(camera.id)?.find((each) => isSiteGroup(each, settings));
  if (group !== undefined) return SITE_BY_GROUP + group.id;
  const location = filled(camera.meta.get(TAGS.location));
  return location === null ? settings.defaultSiteId : SITE_BY_LOCATION + location;
}

/** Groups as people see them: without those that the service made for its own sites. */
function ownGroups(groups: readonly WireGroup[]): readonly WireGroup[] {
  return groups.filter(({ name }) => name === null || !/^Site\d+$/.test(name));
}

function placeOf(camera: WireCamera, siteId: string): string | null {
  const levels = PLACE_LEVELS.map((level) => filled(camera.meta.get(level))).filter((level) => level !== null);
  if (levels.length > 0) return levels.join(' / ');
  const location = filled(camera.meta.get(TAGS.location));
  return location === null || siteId === SITE_BY_LOCATION + location ? null : location;
}

/** @returns how it is by the service's word; UNKNOWN for a word that no table has, which is kept */
export function statusOf(word: string | null): Pick<StatusClaim, 'state' | 'reason'> {
  return (word === null ? undefined : STATUS_WORDS.get(word)) ?? { state: 'UNKNOWN', reason: null };
}

function claimOf(camera: WireCamera, { notRecording }: Surroundings): StatusClaim {
  const status = statusOf(camera.status);
  const isFaulty = status.state === 'ONLINE' && notRecording.has(camera.id);
  return {
    ...(isFaulty ? { state: 'DEGRADED', reason: 'OTHER' } : status),
    vendorState: camera.status,
    observedAt: null,
  };
}

/** On, connected, and yet nothing is recorded. One such reading may be a recording that is just being started. */
export function lacksRecording({ status, recMode, isRecording }: WireCamera): boolean {
  return statusOf(status).state === 'ONLINE' && recMode === 'on' && isRecording === false;
}

export function normalizeCamera(camera: WireCamera, around: Surroundings): DeviceDraft {
  const kind = kindOf(camera);
  const siteId = siteIdOf(camera, around);
  const { meta } = camera;
  const parent = kind === 'gateway' ? undefined : gatewayOf(camera, around);
  const gatewayIp = kind === 'gateway' ? filled(meta.get(TAGS.gatewayIp)) : null;
  const gatewayMac = kind === 'gateway' ? filled(meta.get(TAGS.gatewayMac)) : null;
  const shown = around.settings.exposeSourceHost ? camera.sourceHost : null;
  const ip = gatewayIp ?? (shown !== null && isIP(shown) !== 0 ? shown : null);
  const zone = placeOf(camera, siteId);
  const gatewayId = filled(meta.get(TAGS.gatewayId));
  return {
    nativeId: camera.id,
    nativeOrgId: '',
    nativeSiteId: siteId,
    name: camera.name ?? `Camera ${camera.id}`,
    type: TYPE_OF[kind],
    vendorType: kind,
    status: claimOf(camera, around),
    externalIds: [
      ...(camera.cameraManager === null ? [] : [{ namespace: 'vxg:camera-manager-id', value: camera.cameraManager }]),
      ...(gatewayId === null || kind !== 'gateway' ? [] : [{ namespace: 'vxg:gateway-id', value: gatewayId }]),
    ],
    macAddresses: gatewayMac === null ? [] : [gatewayMac],
    ip,
    hostname: shown !== null && isIP(shown) === 0 ? shown : null,
    zone: zone === null ? null : { name: zone, kind: 'AREA' },
    system: filled(meta.get(TAGS.recorder)),
    parentNativeId: parent ?? null,
    position: camera.coordinates,
    telemetry: camera.isRecording === null ? null : { recording: camera.isRecording },
    capabilities: CAPABILITIES[kind],
    tags: ownGroups(around.groupsOf.get(camera.id) ?? []).flatMap(({ name }) => (name === null ? [] : [name])),
  };
}

/** What `gateway_cam` holds is not documented: an id of the gateway, or a mark beside `gateway_id`. Both are tried. */
function gatewayOf({ meta }: WireCamera, around: Surroundings): string | undefined {
  if (!meta.has(TAGS.gatewayCamera) && !meta.has(TAGS.gatewayId)) return undefined;
  const named = [meta.get(TAGS.gatewayCamera), meta.get(TAGS.gatewayId)];
  return named.map((id) => around.gatewayOf.get(id ?? '')).find((id) => id !== undefined);
}

export function serverNativeId({ uuid }: Pick<WireServer, 'uuid'>): string {
  return SERVER_PREFIX + uuid;
}

export function isServerId(nativeId: string): boolean {
  return nativeId.startsWith(SERVER_PREFIX);
}

export function normalizeServer(
  server: WireServer,
  { defaultSiteId }: Pick<SiteSettings, 'defaultSiteId'>,
): DeviceDraft {
  const { isOnline } = server;
  return {
    nativeId: serverNativeId(server),
    nativeOrgId: '',
    nativeSiteId: defaultSiteId,
    name: server.name ?? `Server ${server.uuid}`,
    type: TYPE_OF.server,
    vendorType: 'server',
    status: {
      state: isOnline === null ? 'UNKNOWN' : isOnline ? 'ONLINE' : 'OFFLINE',
      reason: isOnline === null ? null : 'REPORTED',
      vendorState: isOnline === null ? null : isOnline ? 'online' : 'offline',
      observedAt: null,
    },
    externalIds: [{ namespace: 'vxg:server-id', value: server.id }],
    firmware: server.version,
    capabilities: CAPABILITIES.server,
  };
}

/** The fields that every platform's live device has, from the same rules as the listing. */
function live(draft: DeviceDraft, checkedAt: Date, extras: LiveDevice['extras']): LiveDevice {
  const { nativeId, nativeSiteId, name, type, status } = draft;
  return {
    nativeId,
    nativeSiteId,
    name,
    type,
    state: status?.state ?? 'UNKNOWN',
    vendorState: status?.vendorState ?? null,
    checkedAt,
    extras,
  };
}

export function liveCamera(camera: WireCamera, around: Surroundings, checkedAt: Date): LiveDevice {
  const [group] = ownGroups(around.groupsOf.get(camera.id) ?? []);
  // Where the key does not open groups, the web client's own grouping stands in.
  const label = filled(camera.meta.get(TAGS.group));
  const labelled = label === null ? null : { id: label, name: label };
  return live(normalizeCamera(camera, around), checkedAt, {
    channelId: camera.id,
    group: group === undefined ? labelled : { id: group.id, name: group.name },
    recordingMode: camera.recMode,
  });
}

export function liveServer(server: WireServer, settings: SiteSettings, checkedAt: Date): LiveDevice {
  return live(normalizeServer(server, settings), checkedAt, { channelId: null, group: null, recordingMode: null });
}

/** The sites that cameras and servers name, with what their cameras and groups tell of them. */
export function normalizeSites(
  cameras: readonly WireCamera[],
  servers: readonly WireServer[],
  groups: readonly WireGroup[],
  around: Surroundings,
): readonly SiteDraft[] {
  const bySite = Map.groupBy(cameras, (camera) => siteIdOf(camera, around));
  const { defaultSiteId } = around.settings;
  if (servers.length > 0 && !bySite.has(defaultSiteId)) bySite.set(defaultSiteId, []);
  return [...bySite]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([id, own]) => ({
      nativeOrgId: '',
      nativeId: id,
      name: siteName(id, groups, defaultSiteId),
      address: null,
      coordinates: own.find(({ coordinates }) => coordinates !== null)?.coordinates ?? null,
      timezone: own.map(({ timezone }) => timezone).find((zone) => zone !== null && isTimezone(zone)) ?? null,
      deviceCount: own.length + (id === defaultSiteId ? servers.length : 0),
    }));
}

function siteName(id: string, groups: readonly WireGroup[], defaultSiteId: string): string {
  if (id.startsWith(SITE_BY_LOCATION)) return id.slice(SITE_BY_LOCATION.length);
  const group = groups.find((each) => id === SITE_BY_GROUP + each.id || each.name === SITE_GROUP_PREFIX + id);
  if (group !== undefined && group.name !== null) return group.name;
  return id === defaultSiteId ? 'Default site' : `${SITE_GROUP_PREFIX} ${id}`;
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
