import type { DeviceRow } from '../../storage/rows.ts';

// Rows of the past look like those of today. Where it matters, resolvers ask here which one they were given.

const instants = new WeakMap<DeviceRow, number>();

/** @param asOf milliseconds @returns the same row */
export function markPast<Row extends DeviceRow | null>(row: Row, asOf: number): Row {
  if (row !== null) instants.set(row, asOf);
  return row;
}

/** The past instant at which the row was so; null for a row of now. */
export function instantOf(row: DeviceRow): number | null {
  return instants.get(row) ?? null;
}
