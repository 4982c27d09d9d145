import { afterAll, beforeAll, expect, it } from 'vitest';
import { allVendors, type Json, openSandbox, operation, query } from './rig.ts';

// Where are we blind: what the graph says of a site, held against what each adapter can tell of each kind.

const FAMILIES = ['HEALTH', 'ALARM', 'ACCESS', 'VIDEO', 'SENSOR'] as const;
/** The mode of each of the families, in their order: Push, pOll only, nothing (-). */
const MODES: Readonly<Record<string, string>> = { P: 'PUSH', O: 'POLL_ONLY', '-': 'NONE' };

/** The capability matrix of the adapters, written down apart from them. Kinds of one vendor that differ: by letters. */
const MATRIX: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  VENDOR_CLOUD: {
    CAMERA: ['P--P-'],
    RECORDER: ['P--P-'],
    DOOR: ['P-P--'],
    READER: ['P-P--'],
    INTERCOM: ['P-P--'],
    PANEL: ['PP---'],
    DETECTOR: ['PP---'],
    INPUT: ['PP---'],
    SIREN: ['P----'],
  },
  MILESTONE: {
    RECORDER: ['P--P-'],
    BRIDGE: ['P----'],
    CAMERA: ['P--P-'],
    MICROPHONE: ['P----'],
    SPEAKER: ['P----'],
    SENSOR: ['P----'],
    INPUT: ['P---P'],
    OUTPUT: ['P---P'],
  },
  // Inputs have no state of their own that is told; a listing asks their panel.
  ONGUARD: { CONTROLLER: ['PP---'], DOOR: ['PPP--'], BRIDGE: ['PP---'], INPUT: ['OP---'] },
  // Nobody can be asked.
  ON_PREM: { CAMERA: ['P----'], DOOR: ['P----'], CONTROLLER: ['P----'] },
  RECONEYEZ: { DETECTOR: ['PP-P-'], BRIDGE: ['PP---'], SIREN: ['PP---'] },
  // Everything is found by asking.
  VXG: { CAMERA: ['OO-OO'], BRIDGE: ['O----'], RECORDER: ['O----'] },
  SENSORS: {
    BRIDGE: ['P----'],
    CONTROLLER: ['P-P--'],
    PANEL: ['PP---'],
    DETECTOR: ['PP---', 'P---P'],
    SENSOR: ['P---P'],
  },
};

/** Families that no device tells of: of the platform itself, of the inventory, and signs of life. */
const NOT_OF_DEVICES = new Set(['SYSTEM', 'SUPERVISION', 'INVENTORY', 'COMMAND']);
/** Of kinds that the simulated platforms have none of, and what other systems raise at cameras. */
const OF_OTHERS = new Set(['VENDOR_CLOUD SENSOR', 'ONGUARD VIDEO', 'VXG ACCESS']);

let sandbox: Awaited<ReturnType<typeof openSandbox>>;
let nodes: readonly Json[];

beforeAll(async () => {
  sandbox = await openSandbox({ vendors: allVendors, devices: 400 });
  const { data, errors } = await query(
    sandbox,
    '{ devices(first: 500) { totalCount nodes { vendor type capabilities site { id } } } }',
  );
  if (errors !== undefined || data.devices.nodes.length !== data.devices.totalCount)
    throw new Error('the sandbox does not tell all of its devices');
  nodes = data.devices.nodes;
});

afterAll(() => sandbox?.close());

/** Which of the matrix's lines a device is one of: by what it says it emits. */
function lineOf({ vendor, type, capabilities }: Json): string {
  const lines = MATRIX[vendor]?.[type] ?? [];
  const told = FAMILIES.map((family) => capabilities.includes(`EMITS_${family}`));
  // Health may be polled where it is not told; the other families are either told or not.
  const found = lines.find((line) => told.every((isTold, index) => index === 0 || isTold === (line[index] !== '-')));
  if (found === undefined) throw new Error(`the matrix has no line for ${vendor} ${type} with ${capabilities}`);
  return found;
}

it('says of every kind and family at every site what the adapters can tell', async () => {
  for (const site of new Set<string>(nodes.map((node) => node.site.id))) {
    const expected = new Map<string, number>();
    for (const node of nodes.filter((each) => each.site.id === site)) {
      const line = lineOf(node);
      for (const [index, family] of FAMILIES.entries()) {
        const key = `${node.type} ${family} ${MODES[line[index] ?? '']}`;
        expected.set(key, (expected.get(key) ?? 0) + 1);
      }
    }
    const { data, errors } = await query(sandbox, operation('24-blind-spots'), { site });
    expect(errors).toBeUndefined();
    const rows: { type: string; family: string; mode: string; devices: number }[] = data.site.coverage;
    expect(
      Object.fromEntries(rows.map(({ type, family, mode, devices }) => [`${type} ${family} ${mode}`, devices])),
    ).toEqual(Object.fromEntries(expected));
  }
});

it.each(allVendors.map((vendor) => [vendor.slug, vendor] as const))(
  'has for every family in the table of %s a kind that tells of it',
  (_, { enumValue, eventTable }) => {
    const own = nodes.filter(({ vendor }) => vendor === enumValue);
    expect(own.length).toBeGreaterThan(0);
    const families = new Set(eventTable.rows.map(({ family }) => family));
    const untold = [...families].filter(
      (family) =>
        !NOT_OF_DEVICES.has(family) &&
        !OF_OTHERS.has(`${enumValue} ${family}`) &&
        !own.some(({ capabilities }) => capabilities.includes(`EMITS_${family}`)),
    );
    expect(untold).toEqual([]);
  },
);
