// What a simulated XProtect system consists of. Equal seeds make equal systems.
import { createHash } from 'node:crypto';
import type { SimulatorOptions } from '../../../adapter-kit/simulator.ts';
import type { Collection } from '../wire.ts';
import { WINDOWS_ZONES } from '../windows-zones.ts';

export interface WorldDevice {
  readonly collection: Collection;
  readonly id: string;
  name: string;
  readonly parentId: string | null;
  readonly siteId: string;
  enabled: boolean;
  /** One camera in twenty of a real system has no state. */
  hasState: boolean;
  lastModified: string;
  /** Members of its record beside the usual ones. */
  readonly own: Readonly<Record<string, unknown>>;
  readonly driver: Readonly<Record<string, unknown>> | null;
}

export interface World {
  readonly siteId: string;
  readonly siteName: string;
  readonly timeZone: string;
  /** Whether sites are recording servers. */
  readonly isBranches: boolean;
  readonly sites: readonly { readonly id: string; readonly name: string; readonly address: string }[];
  /** Cameras first, servers last. */
  readonly devices: Map<string, WorldDevice>;
  readonly groups: readonly { readonly id: string; readonly name: string; readonly cameraIds: readonly string[] }[];
  readonly licence: string;
}

const MODELS = ['AXIS P3265-LVE Dome Camera', 'AXIS Q6135-LE PTZ', 'HIKVISION DS-2CD2387G2', 'BOSCH FLEXIDOME 8000i'];
const ENCODER = 'AXIS M7104 Video Encoder';
const ZONES = ['Lobby', 'Loading dock', 'Car park', 'Corridor', 'Perimeter', 'Server room'];
const UNSET = '0001-01-01T00:00:00.0000000';
/** Every so many hardware: a four-channel encoder, one with a microphone, one with input and output, one with metadata. */
const ENCODER_EVERY = 11;

function bytesOf(seed: number, label: string): Buffer {
  return createHash('sha256').update(`milestone ${seed} ${label}`).digest();
}

/** Version 4 in form, by our own rule in content. */
export function guidOf(seed: number, label: string): string {
  const hex = bytesOf(seed, label).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export function stamp(at: Date, ticks = 0): string {
  return at.toISOString().replace('Z', `${String(ticks % 10_000).padStart(4, '0')}Z`);
}

function windowsZoneOf(iana: string): string {
  for (const [windows, zone] of WINDOWS_ZONES) if (zone === iana) return windows;
  return 'UTC';
}

export function createWorld(options: SimulatorOptions): World {
  const { seed } = options;
  const isBranches = options.sites.length > 1;
  const siteId = guidOf(seed, 'site');
  const [first] = options.sites;
  const siteName = isBranches ? options.accountName : (first?.name ?? options.accountName);
  const timeZone = windowsZoneOf(first?.timezone ?? 'Etc/UTC');
  const lastModified = stamp(new Date('2026-03-02T08:15:27.327Z'));
  const made: WorldDevice[] = [];

  function add(
    collection: Collection,
    label: string,
    rest: Pick<WorldDevice, 'name' | 'parentId' | 'siteId'> & Partial<Pick<WorldDevice, 'own' | 'driver'>>,
  ): WorldDevice {
    const device: WorldDevice = {
      collection,
      id: guidOf(seed, `${collection} ${label}`),
      enabled: true,
      hasState: true,
      lastModified,
      own: {},
      driver: null,
      ...rest,
    };
    made.push(device);
    return device;
  }

  // Two recording servers behind one management server; with several sites, one in each.
  const places = isBranches ? options.sites : [first, first].slice(0, options.devices > 3 ? 2 : 1);
  const servers = places.map((place, index) => {
    const name = isBranches ? (place?.name ?? `REC-0${index + 1}`) : `REC-0${index + 1}`;
    const id = guidOf(seed, `recordingServers ${index}`);
    return add('recordingServers', String(index), {
      name,
      parentId: siteId,
      siteId: isBranches ? id : siteId,
      own: {
        timeZoneName: windowsZoneOf(place?.timezone ?? 'Etc/UTC'),
        hostName: `rec${String(index + 1).padStart(2, '0')}`,
        portNumber: 7_563,
        webServerUri: `https://rec${index + 1}.corp.example.test:7563/`,
        shutdownOnStorageFailure: false,
        synchronizationTime: -1,
      },
    });
  });
  if (!isBranches)
    add('sites', '', { name: siteName, parentId: null, siteId, own: siteRecord(siteName, timeZone) }).hasState = true;
  const target = Math.max(options.devices, made.length);
  for (let box = 0; made.length < target && servers.length > 0; box += 1) {
    const server = servers[box % servers.length];
    if (server === undefined) break;
    addHardware({ seed, add, box, server, room: target - made.length });
  }

  const order = (collection: Collection): number =>
    [
      'cameras',
      'microphones',
      'speakers',
      'metadata',
      'inputEvents',
      'outputs',
      'hardware',
      'recordingServers',
      'sites',
    ].indexOf(collection);
  made.sort((a, b) => order(a.collection) - order(b.collection));
  const devices = new Map(
    made.map((device) => {
      // There is one management server only.
      const fixed = device.collection === 'sites' ? { ...device, id: siteId } : device;
      return [fixed.id, fixed] as const;
    }),
  );
  const cameras = made.filter(({ collection }) => collection === 'cameras');
  return {
    siteId,
    siteName,
    timeZone,
    isBranches,
    sites: isBranches
      ? servers.map(({ id, name }, index) => ({ id, name, address: options.sites[index]?.address ?? '' }))
      : options.sites.map(({ name, address }) => ({ id: siteId, name, address })),
    devices,
    groups: ZONES.map((name, index) => ({
      id: guidOf(seed, `group ${name}`),
      name,
      cameraIds: cameras.filter((_, at) => at % ZONES.length === index).map(({ id }) => id),
    })),
    licence: `M01-C01-100-${String(bytesOf(seed, 'licence').readUInt16BE(0) % 100).padStart(2, '0')}`,
  };
}

export function siteRecord(name: string, timeZone: string): Readonly<Record<string, unknown>> {
  return {
    timeZone,
    computerName: name
      .toUpperCase()
      .replaceAll(/[^A-Z0-9]+/g, '-')
      .slice(0, 15),
    domainName: 'CORP',
    platform: 'Windows Server 2022 Standard',
    processors: 16,
    masterSiteAddress: '',
    version: '25.2.8912.1',
  };
}

interface Hardware {
  readonly seed: number;
  readonly add: (
    collection: Collection,
    label: string,
    rest: Pick<WorldDevice, 'name' | 'parentId' | 'siteId'> & Partial<Pick<WorldDevice, 'own' | 'driver'>>,
  ) => WorldDevice;
  readonly box: number;
  readonly server: WorldDevice;
  /** Devices that may be added. */
  readonly room: number;
}

function addHardware({ seed, add, box, server, room }: Hardware): void {
  const { siteId } = server;
  const isEncoder = box % ENCODER_EVERY === ENCODER_EVERY - 1;
  const model = isEncoder ? ENCODER : (MODELS[box % MODELS.length] ?? ENCODER);
  const zone = ZONES[box % ZONES.length] ?? 'Lobby';
  // Two boxes behind one address, one by name on an odd port, as real systems have them.
  const ip = `10.${20 + (box >> 14)}.${(box >> 7) & 127}.${1 + ((box === 5 ? 4 : box) & 127)}`;
  const address = box % 13 === 12 ? `http://cam-${box}.corp.example.test:8080/` : `http://${ip}/`;
  const name = `${zone} ${isEncoder ? 'Encoder' : 'Dome'} ${box + 1} (${ip})`;
  const digits = bytesOf(seed, `mac ${box}`).toString('hex').slice(0, 10).toUpperCase();
  const parent = add('hardware', String(box), {
    name,
    parentId: server.id,
    siteId,
    own: {
      address,
      userName: 'svc',
      model,
      passwordLastModified: UNSET,
      hardwareDriverPath: { type: 'hardwareDrivers', id: guidOf(seed, `driver ${model}`) },
    },
    driver: {
      displayName: 'General',
      detectedModelName: model,
      productID: model.split(' ')[0],
      macAddress: box % 17 === 16 ? '' : `02${digits}`,
      firmwareVersion: `11.${box % 12}.${box % 90}`,
      serialNumber: `02${digits}`,
      httpSEnabled: 'Yes',
      httpSPort: 443,
    },
  });
  let left = room - 1;
  const channel = (collection: Collection, kind: string, number: number): void => {
    if (left <= 0) return;
    left -= 1;
    add(collection, `${box} ${number}`, {
      name: `${zone} ${isEncoder ? 'Encoder' : 'Dome'} ${box + 1} - ${kind} ${number + 1}`,
      parentId: parent.id,
      siteId,
      own: {
        channel: number,
        createdDate: UNSET,
        gisPoint: box % 3 === 0 ? `POINT (${(12 + box / 1_000).toFixed(6)} 55.676098)` : 'POINT EMPTY',
        shortName: zone,
        icon: 0,
        coverageDirection: 0,
        ...(collection === 'cameras' ? { recordingEnabled: true, ptzEnabled: model.includes('PTZ') } : {}),
      },
    });
  };
  for (let number = 0; number < (isEncoder ? 4 : 1); number += 1) channel('cameras', 'Camera', number);
  if (box % 4 === 1) channel('microphones', 'Microphone', 0);
  if (box % 8 === 5) channel('speakers', 'Speaker', 0);
  if (box % 5 === 2) channel('inputEvents', 'Input', 0);
  if (box % 10 === 7) channel('outputs', 'Output', 0);
  if (box % 6 === 3) channel('metadata', 'Metadata', 0);
}
