// An operator's map of registers: what to ask for in as few requests as the protocol allows, and what the answers mean. Pure.
import type { Reading } from '../reading.ts';
import type { Register } from '../settings.ts';
import { MAX_BITS, MAX_REGISTERS, type ReadRequest, type Table } from './frames.ts';

/** Reading a few cells that nobody asked for is cheaper than another round trip. */
const MAX_HOLE = 8;

export function widthOf({ type }: Register): number {
  return type.endsWith('32') ? 2 : 1;
}

/** Neighbours are asked for together. @returns requests in order of table and address */
export function planReads(unit: number, registers: readonly Register[]): readonly ReadRequest[] {
  const plans: ReadRequest[] = [];
  for (const [table, cells] of Map.groupBy(registers, (register) => register.table)) {
    const bound = table === 'coil' || table === 'discrete' ? MAX_BITS : MAX_REGISTERS;
    let open: { unit: number; table: Table; address: number; count: number } | null = null;
    for (const cell of cells.toSorted((one, other) => one.address - other.address)) {
      const end = cell.address + widthOf(cell);
      if (open !== null && cell.address <= open.address + open.count + MAX_HOLE && end - open.address <= bound) {
        open.count = Math.max(open.count, end - open.address);
        continue;
      }
      open = { unit, table, address: cell.address, count: widthOf(cell) };
      plans.push(open);
    }
  }
  return plans;
}

/** A cell's number from what was read; undefined when it was not. */
export function valueOf(
  register: Register,
  cells: (table: Table, address: number) => number | undefined,
): number | undefined {
  const first = cells(register.table, register.address);
  if (first === undefined) return undefined;
  if (register.bit !== undefined) return (first >> register.bit) & 1;
  if (register.type === 's16') return ((first << 16) >> 16) * register.scale;
  if (!register.type.endsWith('32')) return first * register.scale;
  const second = cells(register.table, register.address + 1);
  if (second === undefined) return undefined;
  const [high, low] = register.wordOrder === 'high-first' ? [first, second] : [second, first];
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(high, 0);
  bytes.writeUInt16BE(low, 2);
  const value =
    register.type === 'f32'
      ? bytes.readFloatBE()
      : register.type === 's32'
        ? bytes.readInt32BE()
        : bytes.readUInt32BE();
  return Number.isFinite(value) ? value * register.scale : undefined;
}

/** What the named values say. */
export function readValues(
  nativeId: string,
  registers: readonly Register[],
  values: Readonly<Record<string, number>>,
): readonly Reading[] {
  return registers.flatMap((register): Reading[] => {
    const value = Object.hasOwn(values, register.name) ? values[register.name] : undefined;
    if (value === undefined || register.signal === 'value') return [];
    const isActive = register.activeWhen === undefined ? value !== 0 : value === register.activeWhen;
    return [
      {
        nativeId,
        point: register.name,
        signal: register.signal,
        value: isActive ? 'active' : 'clear',
        word: `${register.name}:${value}`,
        occurredAt: null,
        metadata: { point: register.name, table: register.table, address: register.address, value },
      },
    ];
  });
}
