// The objects of a simulated OnGuard system, made from a seed. Ids are written here anew, so that a slip in ours shows.
import type { SimulatorOptions } from '../../../adapter-kit/simulator.ts';

export interface WorldObject {
  readonly nativeId: string;
  /** `Lnl_Panel`, … */
  readonly typeName: string;
  readonly name: string;
  readonly segmentId: number;
  readonly panelId: number;
  readonly deviceId: number;
  readonly subdeviceId: number;
  /** Native id of what it reports through. */
  readonly parentId: string | null;
  /** As `/instances` says them, in the letter case of the platform. */
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface World {
  readonly segments: readonly { readonly id: number; readonly name: string }[];
  readonly objects: readonly WorldObject[];
}

/** Mulberry32: small, and the same everywhere. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PANEL_TYPES = ['LNL-4420', 'LNL-2220', 'LNL-3300', 'LNL-2210'];
const PLACES = ['Lobby', 'Dock', 'Server room', 'Garage', 'Roof', 'Archive', 'Kitchen', 'Stairs', 'Plant', 'Gate'];
const SIDES = ['east', 'west', 'north', 'south'];
const READERS_PER_PANEL = 5;
/** Devices of one panel, itself included: what a site of this kind has on average. */
const PER_PANEL = 22;
const INPUTS = 8;
const OUTPUTS = 5;
const BOARD_NUMBER = 66;

/** Octets in the order of the platform: the lowest byte is the first one. */
export function ipNumber(a: number, b: number, c: number, d: number): number {
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

interface Ids {
  panel: number;
  object: number;
}

function panelOf(segmentId: number, ids: Ids, random: () => number, count: number, siteName: string): WorldObject[] {
  const panelId = (ids.panel += 1);
  const server = `OGCOMM0${1 + (panelId % 2)}`;
  const pick = (list: readonly string[]): string => list[Math.floor(random() * list.length)] ?? '';
  const made: WorldObject[] = [];
  const nextId = (): number => (ids.object += 1);
  const add = (
    typeName: string,
    name: string,
    deviceId: number,
    subdeviceId: number,
    parentId: string | null,
    nativeId: string,
    properties: Record<string, unknown>,
  ): void => {
    if (made.length >= count) return;
    made.push({ nativeId, typeName, name, segmentId, panelId, deviceId, subdeviceId, parentId, properties });
  };
  const panel = String(panelId);
  const panelName = `${siteName} ISC-${String(panelId).padStart(2, '0')}`;
  add('Lnl_Panel', panelName, 0, 0, null, panel, {
    ID: panelId,
    IsDaylightSaving: true,
    IsOnline: true,
    Name: panelName,
    PanelType: pick(PANEL_TYPES),
    // Some servers say it signed.
    PrimaryIPAddress: ipNumber(10, segmentId % 250, panelId % 250, 200) | 0,
    SegmentId: segmentId,
    Workstation: server,
    WorldTimezoneID: 35,
  });
  for (let number = 1; number <= READERS_PER_PANEL; number += 1) {
    const name = `${pick(PLACES)} ${pick(SIDES)} ${panelId}.${number}`;
    add('Lnl_Reader', name, number, 0, panel, `${panelId}-${number}`, {
      ControlType: 32,
      HostName: server,
      Name: name,
      PANELID: panelId,
      ReaderID: number,
      TimeAttendanceType: 0,
    });
  }
  const board = `${panelId}-${BOARD_NUMBER}`;
  const boardName = `${panelName} I/O ${BOARD_NUMBER}`;
  add('Lnl_AlarmPanel', boardName, BOARD_NUMBER, 0, panel, board, {
    ControlType: 129,
    ID: BOARD_NUMBER,
    Name: boardName,
    PanelID: panelId,
  });
  for (let number = 1; number <= INPUTS; number += 1) {
    const name = `${pick(PLACES)} contact ${panelId}.${number}`;
    add('Lnl_AlarmInput', name, BOARD_NUMBER, number, board, `${board}-i${number}`, {
      AlarmPanelID: BOARD_NUMBER,
      HostName: server,
      ID: nextId(),
      InputID: number,
      NAME: name,
      PanelId: panelId,
    });
  }
  for (let number = 1; number <= OUTPUTS; number += 1) {
    const name = `${pick(PLACES)} relay ${panelId}.${number}`;
    add('Lnl_AlarmOutput', name, BOARD_NUMBER, number, board, `${board}-o${number}`, {
      AlarmPanelID: BOARD_NUMBER,
      HostName: server,
      ID: nextId(),
      Name: name,
      OutputID: number,
      PanelID: panelId,
    });
  }
  for (const number of [1, 2]) {
    const name = `${panelId}.1 aux ${number}`;
    add(`Lnl_ReaderInput${number}`, name, 1, number, `${panelId}-1`, `${panelId}-1-i${number}`, {
      HostName: server,
      Name: name,
      PanelID: panelId,
      ReaderID: 1,
    });
  }
  return made;
}

/** How many devices each site has: the first ones are the largest, as headquarters are. */
function shares(devices: number, sites: number): readonly number[] {
  const weights = Array.from({ length: sites }, (_, index) => 1 / (index + 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const counts = weights.map((weight) => Math.floor((devices * weight) / sum));
  const rest = devices - counts.reduce((total, count) => total + count, 0);
  return counts.map((count, index) => (index === 0 ? count + rest : count));
}

export function createWorld({ seed, sites, devices }: Pick<SimulatorOptions, 'seed' | 'sites' | 'devices'>): World {
  const random = createRandom(seed);
  const counts = shares(devices, sites.length);
  const ids: Ids = { panel: 0, object: 100 };
  const objects = sites.flatMap((site, index) => {
    const ofSite: WorldObject[] = [];
    const count = counts[index] ?? 0;
    while (ofSite.length < count)
      ofSite.push(...panelOf(index + 1, ids, random, Math.min(PER_PANEL, count - ofSite.length), site.name));
    return ofSite;
  });
  return { segments: sites.map(({ name }, index) => ({ id: index + 1, name })), objects };
}
