// The devices of a simulated platform, made from a seed: equal options make equal platforms.
import type { SimulatorOptions } from '../../../adapter-kit/simulator.ts';
import { type Kind, KINDS, type Model, PANEL, RECORDER, ZONES } from './catalogue.ts';
import { createRandom, macOf, pick, type Random, uuidOf } from './random.ts';

export interface WorldSite {
  readonly siteId: string;
  readonly name: string;
  readonly address: string;
  readonly timezone: string;
}

export interface WorldDevice {
  readonly deviceId: string;
  /** Ids are only unique within it; null for the account's own UUIDs. */
  readonly systemId: string | null;
  readonly siteId: string;
  readonly name: string;
  readonly kind: Kind;
  readonly model: Model;
  readonly firmware: string;
  readonly zone: string;
  readonly parentId: string | null;
  readonly mac: string;
  readonly ip: string;
  readonly hostname: string;
  readonly serialNumber: string;
  /** ISO days. */
  readonly warrantyExpiresOn: string | null;
  readonly endOfSupportOn: string | null;
}

export interface World {
  readonly accountId: string;
  readonly accountName: string;
  readonly sites: readonly WorldSite[];
  readonly devices: readonly WorldDevice[];
}

/** From this size on a site has a recorder and a panel. */
const MIN_FOR_PARENTS = 5;
/** From this size on the account has two older systems whose local ids are the same. */
const MIN_FOR_SYSTEMS = 40;
const SYSTEMS = ['sys-north', 'sys-south'] as const;
const DEVICES_PER_SYSTEM = 3;
/** The first devices were installed then; a fixed day, so that a seed means the same next year. */
const FIRST_INSTALLED = Date.UTC(2019, 2, 1);
const DAY_MS = 86_400_000;
const INSTALLED_OVER_DAYS = 2_400;

function pickKind(random: Random): Kind {
  let rest = random() * KINDS.reduce((sum, { share }) => sum + share, 0);
  for (const kind of KINDS) {
    rest -= kind.share;
    if (rest < 0) return kind;
  }
  return KINDS[0];
}

function isoDay(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

interface Builder {
  readonly seed: number;
  readonly random: Random;
  readonly site: WorldSite;
  readonly siteIndex: number;
  /** How many of each kind the site has so far. */
  readonly counts: Map<string, number>;
  /** Devices of the site so far. */
  made: number;
}

function build(
  builder: Builder,
  kind: Kind,
  own: { deviceId?: string; systemId?: string; parentId?: string | null } = {},
): WorldDevice {
  const { seed, random, site, siteIndex, counts } = builder;
  const number = (counts.get(kind.word) ?? 0) + 1;
  counts.set(kind.word, number);
  builder.made += 1;
  const label = `${siteIndex} ${own.systemId ?? ''} ${kind.word} ${number}`;
  const model = pick(random, kind.models);
  const zone = pick(random, ZONES);
  const installedAt = FIRST_INSTALLED + Math.floor(random() * INSTALLED_OVER_DAYS) * DAY_MS;
  const after = (years: number | null): string | null =>
    years === null ? null : isoDay(installedAt + years * 365 * DAY_MS);
  return {
    deviceId: own.deviceId ?? uuidOf(seed, `device ${label}`),
    systemId: own.systemId ?? null,
    siteId: site.siteId,
    name: `${zone} ${kind.label.toLowerCase()} ${number}`,
    kind,
    model,
    firmware: pick(random, model.firmware),
    zone,
    parentId: own.parentId ?? null,
    mac: macOf(seed, label),
    ip: `10.${siteIndex % 250}.${Math.floor(builder.made / 250) % 250}.${(builder.made % 250) + 1}`,
    hostname: `${kind.word.replaceAll('_', '-')}-${siteIndex + 1}-${number}`,
    serialNumber: uuidOf(seed, `serial ${label}`).slice(0, 13).replaceAll('-', '').toUpperCase(),
    warrantyExpiresOn: after(model.warrantyYears),
    endOfSupportOn: after(model.supportYears),
  };
}

function buildSite(builder: Builder, count: number, withSystems: boolean): readonly WorldDevice[] {
  const devices: WorldDevice[] = [];
  const parents = { recorder: null as string | null, panel: null as string | null };
  if (count >= MIN_FOR_PARENTS) {
    const recorder = build(builder, RECORDER);
    const panel = build(builder, PANEL);
    parents.recorder = recorder.deviceId;
    parents.panel = panel.deviceId;
    devices.push(recorder, panel);
  }
  if (withSystems) {
    for (const systemId of SYSTEMS) {
      for (let index = 1; index <= DEVICES_PER_SYSTEM; index += 1) {
        devices.push(build(builder, KINDS[0], { systemId, deviceId: `cam-${String(index).padStart(3, '0')}` }));
      }
    }
  }
  while (devices.length < count) {
    const kind = pickKind(builder.random);
    devices.push(build(builder, kind, { parentId: kind.parent === null ? null : parents[kind.parent] }));
  }
  return devices;
}

/** How many devices each site has: the first ones are the largest, as headquarters are. */
function shares(devices: number, sites: number): readonly number[] {
  const weights = Array.from({ length: sites }, (_, index) => 1 / (index + 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const counts = weights.map((weight) => Math.floor((devices * weight) / sum));
  const rest = devices - counts.reduce((total, count) => total + count, 0);
  return counts.map((count, index) => (index === 0 ? count + rest : count));
}

export function createWorld(
  options: Pick<SimulatorOptions, 'seed' | 'accountId' | 'accountName' | 'sites' | 'devices'>,
): World {
  const { seed, accountId, accountName } = options;
  const sites = options.sites.map((site, index) => ({ ...site, siteId: uuidOf(seed, `site ${index}`) }));
  const counts = shares(options.devices, sites.length);
  const devices = sites.flatMap((site, siteIndex) => {
    const random = createRandom(seed * 1_000 + siteIndex);
    const builder: Builder = { seed, random, site, siteIndex, counts: new Map(), made: 0 };
    const withSystems = siteIndex === 0 && options.devices >= MIN_FOR_SYSTEMS;
    return buildSite(builder, counts[siteIndex] ?? 0, withSystems);
  });
  return { accountId, accountName, sites, devices };
}

/** The id that makes a device unique in the account. */
export function nativeIdOf({ systemId, deviceId }: Pick<WorldDevice, 'systemId' | 'deviceId'>): string {
  return systemId === null ? deviceId : `${systemId}/${deviceId}`;
}
