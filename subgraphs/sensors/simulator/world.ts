// Which sensors a simulated site has: equal seeds make equal ones.
import { createHash } from 'node:crypto';
import type { SimulatedDevice, SimulatorOptions } from '../../../adapter-kit/simulator.ts';

export type Role =
  | { readonly as: 'bridge'; readonly base: string }
  | { readonly as: 'zigbee'; readonly base: string; readonly ieee: string; readonly expose: string }
  | { readonly as: 'tasmota'; readonly topic: string }
  | { readonly as: 'frigate'; readonly prefix: string }
  | { readonly as: 'edge'; readonly edge: string }
  | { readonly as: 'sparkplug'; readonly edge: string; readonly device: string }
  | { readonly as: 'onvif' }
  | { readonly as: 'gateway' }
  | { readonly as: 'unit'; readonly unit: number }
  | { readonly as: 'push'; readonly key: string; readonly kind: 'pos' | 'ai' };

export interface WorldDevice extends SimulatedDevice {
  readonly role: Role;
}

export const GROUP = 'plant';
export const EDGE = 'edge-1';
export const BROKER = 'broker';
export const PANEL_UNIT = 1;
export const LEAK_UNIT = 2;

const EXPOSES = ['smoke', 'water_leak', 'occupancy', 'contact'];
/** Leaves of a Zigbee network that stand before anything else is added. */
const MIN_LEAVES = 3;

interface Extra {
  readonly nativeId: string;
  readonly name: string;
  readonly type: string;
  readonly role: Role;
}

/** Groups that come together, gateways with what is behind them. */
const EXTRAS: readonly (readonly Extra[])[] = [
  [{ nativeId: 'controller', name: 'Access controller', type: 'access', role: { as: 'onvif' } }],
  [
    { nativeId: 'modbus', name: 'Fire gateway', type: 'gateway', role: { as: 'gateway' } },
    { nativeId: `modbus/${PANEL_UNIT}`, name: 'Fire panel', type: 'fire', role: { as: 'unit', unit: PANEL_UNIT } },
    { nativeId: `modbus/${LEAK_UNIT}`, name: 'Leak controller', type: 'water', role: { as: 'unit', unit: LEAK_UNIT } },
  ],
  [
    { nativeId: 'push/till-1', name: 'Till 1', type: 'pos', role: { as: 'push', key: 'till-1', kind: 'pos' } },
    { nativeId: 'push/vision-1', name: 'Vision server', type: 'ai', role: { as: 'push', key: 'vision-1', kind: 'ai' } },
  ],
  [{ nativeId: `${BROKER}/frigate`, name: 'Frigate', type: 'frigate', role: { as: 'frigate', prefix: 'frigate' } }],
  [
    {
      nativeId: `${BROKER}/${GROUP}/${EDGE}`,
      name: `Edge ${EDGE}`,
      type: 'edge node',
      role: { as: 'edge', edge: EDGE },
    },
    {
      nativeId: `${BROKER}/${GROUP}/${EDGE}/cable-1`,
      name: 'Leak cable 1',
      type: 'water',
      role: { as: 'sparkplug', edge: EDGE, device: 'cable-1' },
    },
  ],
  [{ nativeId: `${BROKER}/dock-pir`, name: 'Dock PIR', type: 'motion', role: { as: 'tasmota', topic: 'dock-pir' } }],
];

function ieeeOf(seed: number, index: number): string {
  return `0x${createHash('sha256').update(`zigbee ${seed} ${index}`).digest('hex').slice(0, 16)}`;
}

export interface World {
  readonly devices: readonly WorldDevice[];
  readonly sites: readonly {
    readonly id: string;
    readonly name: string;
    readonly address: string;
    readonly timezone: string;
  }[];
  readonly bases: readonly string[];
}

export function createWorld({ seed, accountId, sites: given, devices: count }: SimulatorOptions): World {
  const sites = given.map((site, index) => ({ ...site, id: `site-${index + 1}` }));
  const bridgeCount = Math.min(sites.length, Math.max(1, Math.floor(count / 2)));
  const bases = sites.slice(0, bridgeCount).map((_, index) => `zigbee2mqtt-${index + 1}`);
  const siteOf = (index: number): string => sites[index % Math.max(1, bridgeCount)]?.id ?? '';
  const make = (extra: Extra, siteId: string): WorldDevice => ({ ...extra, siteId, accountId, state: 'online' });
  const bridges = bases.map((base, index) =>
    make(
      {
        nativeId: `${BROKER}/${base}/bridge`,
        name: `Zigbee2MQTT ${base}`,
        type: 'Coordinator',
        role: { as: 'bridge', base },
      },
      siteOf(index),
    ),
  );
  let left = count - bridges.length - MIN_LEAVES;
  const extras = EXTRAS.flatMap((group, index) => {
    if (left < group.length) return [];
    left -= group.length;
    return group.map((extra) => make(extra, siteOf(index)));
  });
  const leaves = Array.from(
    { length: Math.max(0, count - bridges.length - extras.length) },
    (_, index): WorldDevice => {
      const expose = EXPOSES[index % EXPOSES.length] ?? 'smoke';
      const base = bases[index % bases.length] ?? '';
      const ieee = ieeeOf(seed, index);
      // Names with a slash are allowed, and common: rooms by floor.
      const name = `floor-${(index % 3) + 1}/${expose.replace('_', '-')}-${index + 1}`;
      const device = make(
        { nativeId: `${BROKER}/${ieee}`, name, type: expose, role: { as: 'zigbee', base, ieee, expose } },
        siteOf(index),
      );
      return index % 23 === 22 ? { ...device, state: 'offline' } : device;
    },
  );
  const half = Math.ceil(leaves.length / 2);
  return { sites, bases, devices: [...leaves.slice(0, half), ...bridges, ...extras, ...leaves.slice(half)] };
}
