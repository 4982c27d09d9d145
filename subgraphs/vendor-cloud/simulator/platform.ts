// The simulated vendor's own logic: what state its devices are in, what it says about them, what it tells its subscribers.
import type { SimulatedDevice } from '../../../adapter-kit/simulator.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { FaultBoard } from './faults.ts';
import { uuidOf } from './random.ts';
import type { PlatformFile, Switched } from './state.ts';
import { nativeIdOf, type World, type WorldDevice, type WorldSite } from './world.ts';

export interface PlatformEvent {
  /** Null: an event of the platform itself. */
  readonly nativeId: string | null;
  readonly eventType: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly at?: Date | undefined;
  readonly eventId?: string | undefined;
}

export interface Platform {
  readonly world: World;
  /** How a device is: the truth to compare with. */
  stateOf(device: WorldDevice): Switched;
  find(nativeId: string): WorldDevice | undefined;
  /** @returns whether it was in the other state before; false for a device that is not there */
  setState(nativeId: string, state: Switched['state']): boolean;
  /** Words that are not given are the usual ones again. */
  setWords(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
  /** @returns the event's id; null when nobody is told */
  emit(event: PlatformEvent): string | null;
  devices(): readonly SimulatedDevice[];
  /** A site's or a device's record as the revision in force writes it. */
  siteRecord(site: WorldSite): Readonly<Record<string, unknown>>;
  deviceRecord(device: WorldDevice): Readonly<Record<string, unknown>>;
}

export interface PlatformParts {
  readonly seed: number;
  readonly world: World;
  readonly file: PlatformFile;
  readonly board: FaultBoard;
  readonly dispatcher: Dispatcher;
  readonly now: () => Date;
}

/** `last_seen` of a device that is up moves with the minute, not with every call. */
const MINUTE_MS = 60_000;

export function createPlatform({ seed, world, file, board, dispatcher, now }: PlatformParts): Platform {
  const byId = new Map(world.devices.map((device) => [nativeIdOf(device), device]));
  const startedAt = now().getTime();

  function stateOf(device: WorldDevice): Switched {
    const switched = file.state.devices[nativeIdOf(device)];
    return switched ?? { state: 'online', at: startedAt, typeWord: null, stateWord: null };
  }

  function typeWord(device: WorldDevice): string {
    return board.faults.unknownWords ? `quantum_${device.kind.word}` : (stateOf(device).typeWord ?? device.kind.word);
  }

  function stateWord(device: WorldDevice): string {
    const { state, stateWord: own } = stateOf(device);
    return board.faults.unknownWords ? `entangled_${state}` : (own ?? state);
  }

  function emit({ nativeId, eventType, data, at, eventId }: PlatformEvent): string | null {
    const device = nativeId === null ? undefined : byId.get(nativeId);
    file.state.events += 1;
    const moment = at ?? now();
    // The count alone would come again on a platform that forgets, and then be taken for a duplicate.
    const id = eventId ?? uuidOf(seed, `event ${file.state.events} ${moment.getTime()} ${nativeId ?? ''}`);
    const isLost = board.faults.dropWebhooks || board.outage?.webhooks === 'lose';
    if (isLost || file.state.hooks.length === 0) {
      file.save();
      return null;
    }
    const event = board.faults.olderRevision
      ? olderEvent(world, device, { id, eventType, data, moment })
      : newerEvent(world, device, { id, eventType, data, moment });
    dispatcher.dispatch(id, nativeId ?? '', JSON.stringify(event));
    return id;
  }

  function change(nativeId: string, next: Partial<Switched>): boolean {
    const device = byId.get(nativeId);
    if (device === undefined) return false;
    const before = stateWord(device);
    file.state.devices[nativeId] = { ...stateOf(device), ...next, at: now().getTime() };
    file.save();
    const word = stateWord(device);
    if (word === before) return false;
    const reason = word === 'offline' ? { reason: 'network' } : {};
    emit({ nativeId, eventType: 'health', data: { status: word, device_name: device.name, ...reason } });
    return true;
  }

  function siteDetails(siteId: string): Readonly<Record<string, string>> {
    const site = world.sites.find((each) => each.siteId === siteId);
    if (board.faults.siteDetails === 'none' || site === undefined) return {};
    return board.faults.siteDetails === 'same'
      ? { site_name: site.name, site_address: site.address, timezone: site.timezone }
      : { site_name: `${site.name} Elsewhere`, site_address: '99 Elsewhere Road', timezone: 'Pacific/Auckland' };
  }

  return {
    world,
    stateOf,
    find: (nativeId) => byId.get(nativeId),
    setState(nativeId, state) {
      const device = byId.get(nativeId);
      // A word that was set stands for a state of its own: switching ends it.
      return device !== undefined && change(nativeId, { state, stateWord: null });
    },
    setWords: (nativeId, { type, state }) =>
      void change(nativeId, { typeWord: type ?? null, stateWord: state ?? null }),
    emit,
    devices: () =>
      world.devices.map((device) => ({
        nativeId: nativeIdOf(device),
        name: device.name,
        type: typeWord(device),
        state: stateOf(device).state,
        siteId: device.siteId,
        accountId: world.accountId,
      })),
    siteRecord: ({ siteId, name, address, timezone }) =>
      board.faults.olderRevision
        ? { id: siteId, org_id: world.accountId, site_name: name, address, time_zone: timezone }
        : { site_id: siteId, name, address, timezone },
    deviceRecord(device) {
      const { state, at } = stateOf(device);
      const seenAt = state === 'online' ? Math.floor(now().getTime() / MINUTE_MS) * MINUTE_MS : at;
      const shared = {
        name: device.name,
        type: typeWord(device),
        status: stateWord(device),
        mac_address: device.mac,
        site_id: device.siteId,
        ip: device.ip,
        hostname: device.hostname,
        last_seen: new Date(seenAt).toISOString(),
        model: device.model.model,
        firmware_version: device.firmware,
        ...(device.systemId === null ? {} : { system_id: device.systemId }),
        ...siteDetails(device.siteId),
      };
      if (board.faults.olderRevision) return { id: device.deviceId, org_id: world.accountId, ...shared };
      return {
        device_id: device.deviceId,
        ...shared,
        manufacturer: device.model.manufacturer,
        serial_number: device.serialNumber,
        zone: device.zone,
        ...(device.parentId === null ? {} : { parent_id: device.parentId }),
        ...(device.warrantyExpiresOn === null ? {} : { warranty_expires_at: device.warrantyExpiresOn }),
        ...(device.endOfSupportOn === null ? {} : { end_of_support_at: device.endOfSupportOn }),
      };
    },
  };
}

interface EventFacts {
  readonly id: string;
  readonly eventType: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly moment: Date;
}

function newerEvent(world: World, device: WorldDevice | undefined, { id, eventType, data, moment }: EventFacts) {
  return {
    event_id: id,
    event_type: eventType,
    ...(device === undefined ? {} : { device_id: device.deviceId, site_id: device.siteId }),
    ...(device === undefined || device.systemId === null ? {} : { system_id: device.systemId }),
    timestamp: moment.toISOString(),
    account_id: world.accountId,
    data,
  };
}

function olderEvent(world: World, device: WorldDevice | undefined, { id, eventType, data, moment }: EventFacts) {
  return {
    event_id: id,
    // The older texts know health events only, and know them by their status.
    ...(eventType === 'health' ? { status: data['status'] } : { event_type: eventType, data }),
    ...(device === undefined ? {} : { device_id: device.deviceId, site_id: device.siteId }),
    ...(device === undefined || device.systemId === null ? {} : { system_id: device.systemId }),
    timestamp: moment.toISOString(),
    org_id: world.accountId,
  };
}
