// The Config REST part of the gateway, with its envelopes and its habits.
import { COLLECTIONS } from '../wire.ts';
import type { Faults } from './faults.ts';
import type { Platform } from './platform.ts';
import { answerEvents, createUserDefinedEvent, failure, type RestAnswer, userDefinedRecord } from './events-rest.ts';
import { guidOf, siteRecord, type WorldDevice } from './world.ts';

/** Only below a parent; the bare collection is a bad request. */
const NOT_BARE = new Set(['storages', 'hardwaredriversettings']);
const HUNDRED_YEARS = '0001-01-01T00:00:00.0000000';

function recordOf(platform: Platform, device: WorldDevice): Readonly<Record<string, unknown>> {
  const { world } = platform;
  const parentType =
    device.collection === 'recordingServers'
      ? 'sites'
      : device.collection === 'hardware'
        ? 'recordingServers'
        : 'hardware';
  return {
    displayName: device.name,
    ...(device.collection === 'sites' ? {} : { enabled: device.enabled }),
    id: device.id,
    name: device.name,
    description: '',
    lastModified: device.lastModified,
    createdDate: HUNDRED_YEARS,
    ...device.own,
    relations: {
      self: { type: platform.typeWord(device), id: device.id },
      ...(device.parentId === null ? {} : { parent: { type: parentType, id: device.parentId } }),
    },
    ...(device.id === world.siteId ? { lastStatusHandshake: device.lastModified } : {}),
  };
}

/** The management server's own record, also where it is no device. */
function sitesOf(platform: Platform): readonly unknown[] {
  const { world } = platform;
  const device = world.devices.get(world.siteId);
  if (device !== undefined) return [recordOf(platform, device)];
  return [
    {
      displayName: world.siteName,
      id: world.siteId,
      name: world.siteName,
      lastModified: '2026-03-02T08:15:27.3270000Z',
      ...siteRecord(world.siteName, world.timeZone),
      relations: { self: { type: 'sites', id: world.siteId } },
    },
  ];
}

export interface RestRequest {
  readonly method: string;
  readonly url: URL;
  readonly text: string;
}

export function answerRest(platform: Platform, faults: Faults, seed: number, request: RestRequest): RestAnswer {
  const { method, url, text } = request;
  const [, resource = '', id, child, ...rest] = url.pathname.toLowerCase().split('/rest/v1')[1]?.split('/') ?? [];
  if (rest.length > 0) return failure(404, `Unknown resource: ${child}`);
  const { world } = platform;
  if (method !== 'GET') {
    if (method !== 'POST' || id !== undefined) return failure(405, 'Method not allowed');
    if (faults.readOnly) return failure(403, 'The user is not allowed to do that');
    if (resource === 'userdefinedevents') return createUserDefinedEvent(platform, text);
    return resource === 'events' ? answerEvents(platform, faults, request) : failure(405, 'Method not allowed');
  }

  function page(all: readonly unknown[]): RestAnswer {
    const size = Number(url.searchParams.get('size') ?? 0);
    if (faults.ignorePaging || size <= 0) return { status: 200, body: { array: all } };
    const from = Number(url.searchParams.get('page') ?? 0) * size;
    return { status: 200, body: { array: all.slice(from, from + size) } };
  }

  function list(devices: Iterable<WorldDevice>): RestAnswer {
    const shown = [...devices].filter(({ enabled }) => enabled || url.searchParams.has('disabled'));
    return page(shown.map((device) => recordOf(platform, device)));
  }

  const device = id === undefined ? undefined : world.devices.get(id);
  const of = (name: string, parentId: string) =>
    world.devices.values().filter((each) => each.collection.toLowerCase() === name && each.parentId === parentId);

  switch (resource) {
    case 'hardwaredriversettings':
      return id === undefined ? failure(400, 'The collection cannot be listed') : driverSettings(device, faults);
    case 'eventtypes':
      return page(
        platform.types().map(({ id: typeId, name, state, group }) => ({
          displayName: name,
          id: typeId,
          name,
          generatorID: 'F020C881-72BF-4014-8504-2B4A5A658F1A',
          builtIn: false,
          sourceArray: ['Camera', 'CameraGroup'],
          ...(group === null ? {} : { stateGroupId: platform.groupIdOf(group), state }),
          relations: { self: { type: 'eventTypes', id: typeId } },
        })),
      );
    case 'stategroups':
      // Groups have no id of their own, only a reference to themselves.
      return page(
        platform.groups().map((group) => ({
          displayName: group.name,
          name: group.name,
          relations: { self: { type: 'stateGroups', id: group.id } },
        })),
      );
    case 'userdefinedevents':
      return page(platform.userDefinedEvents().map(userDefinedRecord));
    case 'events':
      return id === undefined ? answerEvents(platform, faults, request) : failure(404, `Unknown id: ${id}`);
    case 'cameragroups': {
      if (id === undefined)
        return page(world.groups.map(({ id: groupId, name }) => ({ displayName: name, id: groupId, name })));
      const group = world.groups.find((each) => each.id === id);
      if (group === undefined || child !== 'cameras') return failure(404, `Unknown resource: ${child ?? resource}`);
      return list(group.cameraIds.flatMap((cameraId) => world.devices.get(cameraId) ?? []));
    }
    case 'owner':
      return page([
        { displayName: 'Owner', [`[${guidOf(seed, 'owner')}]/address.Address`]: world.sites[0]?.address ?? '' },
      ]);
    case 'licenseinformations':
      return page([{ displayName: 'XProtect Corporate', slc: world.licence }]);
    case 'sites':
      if (id === undefined) return page(sitesOf(platform));
      return id === world.siteId ? { status: 200, body: { data: sitesOf(platform)[0] } } : failure(404, 'Unknown site');
    default:
  }
  if (NOT_BARE.has(resource)) return failure(400, 'The collection cannot be listed');
  if (!COLLECTIONS.some((collection) => collection.toLowerCase() === resource))
    return failure(404, `Unknown resource: ${resource}`);
  if (id === undefined)
    return list(world.devices.values().filter(({ collection }) => collection.toLowerCase() === resource));
  if (device === undefined || device.collection.toLowerCase() !== resource) return failure(404, `Unknown id: ${id}`);
  if (child === undefined) return { status: 200, body: { data: recordOf(platform, device) } };
  if (child === 'hardwaredriversettings') return driverSettings(device, { ...faults, driverShape: 'array' });
  return list(of(child, id));
}

function driverSettings(device: WorldDevice | undefined, { driverShape }: Faults): RestAnswer {
  if (device?.driver === null || device?.driver === undefined) return failure(404, 'Unknown hardware');
  const { driver } = device;
  switch (driverShape) {
    case 'data':
      return { status: 200, body: { data: { displayName: 'Settings', hardwareDriverSettings: driver } } };
    case 'capital':
      return { status: 200, body: { data: { displayName: 'Settings', HardwareDriverSettings: driver } } };
    case 'array':
      return { status: 200, body: { array: [{ displayName: 'Settings', hardwareDriverSettings: driver }] } };
    default:
      return driverShape satisfies never;
  }
}
