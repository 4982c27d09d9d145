// The fleet of a simulated tenant, made from a seed: equal options make equal fleets.
import { createHash } from 'node:crypto';
import type { SimulatorOptions } from '../../../adapter-kit/simulator.ts';

export type Kind = 'detector' | 'bridge' | 'siren';

export interface WorldDevice {
  readonly guid: string;
  readonly name: string;
  readonly kind: Kind;
  readonly type: string;
  /** As the platform calls it now; `null` index for none. */
  readonly areaIndex: number;
  readonly description: string;
  /** As the device measures it at the start. */
  readonly battery: number;
  readonly signalDbm: number;
}

export interface WorldArea {
  readonly name: string;
  readonly timezone: string;
}

export interface World {
  readonly areas: readonly WorldArea[];
  readonly devices: readonly WorldDevice[];
}

const DETECTOR_TYPES = ['detector_hdr', 'detector_hdr_xrl'] as const;
/** One bridge for so many devices of an area, and one siren. */
const PER_BRIDGE = 25;
const PER_SIREN = 12;

/** Uniform in [0, 1), the same for the same seed and label. */
export function chance(seed: number, label: string): number {
  return createHash('sha256').update(`reconeyez ${seed} ${label}`).digest().readUInt32BE(0) / 2 ** 32;
}

/** `01`, then the short id with its bytes swapped, then what makes it unique: as in the vendor's own samples. */
function guidOf(seed: number, index: number): { readonly guid: string; readonly short: string } {
  const digest = createHash('sha256').update(`reconeyez ${seed} device ${index}`).digest('hex').toUpperCase();
  const short = digest.slice(0, 4);
  const serial = index.toString(16).toUpperCase().padStart(4, '0');
  return { guid: `01${short.slice(2)}${short.slice(0, 2)}${digest.slice(4, 10)}${serial.slice(-4)}`, short };
}

function kindOf(place: number): Kind {
  if (place % PER_BRIDGE === 0) return 'bridge';
  return place % PER_SIREN === 1 ? 'siren' : 'detector';
}

const TITLES: Readonly<Record<Kind, string>> = { detector: 'Detector', bridge: 'Bridge', siren: 'Siren' };

export function createWorld({ seed, sites, devices }: SimulatorOptions): World {
  const counts = new Map<string, number>();
  const areas = sites.map(({ name, timezone }) => {
    // Areas are known by name only: two of one name would be one.
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return { name: count === 1 ? name : `${name} (${count})`, timezone };
  });
  const total = areas.length === 0 ? 0 : devices;
  return {
    areas,
    devices: Array.from({ length: total }, (_, index) => {
      const { guid, short } = guidOf(seed, index);
      const place = Math.floor(index / areas.length);
      const areaIndex = index % areas.length;
      const kind = kindOf(place);
      const variant = chance(seed, `variant ${index}`) < 0.5 ? DETECTOR_TYPES[0] : DETECTOR_TYPES[1];
      return {
        guid,
        name: `${TITLES[kind]}: ${short}`,
        kind,
        type: kind === 'detector' ? variant : kind === 'bridge' ? 'bridge_4g' : 'siren_v1',
        areaIndex,
        description:
          kind === 'detector'
            ? `Json:#${4_000 + areaIndex}|1-${String(place + 1)
                .padStart(3, '0')
                .slice(-3)}`
            : '',
        battery: 40 + Math.floor(chance(seed, `battery ${index}`) * 61),
        signalDbm: -60 - Math.floor(chance(seed, `signal ${index}`) * 50),
      };
    }),
  };
}
