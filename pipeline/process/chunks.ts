/** Values in one IN list or VALUES list: far below the parameter limits of both engines, and few enough statement shapes. */
export const CHUNK = 200;

export function* inChunks<T>(values: readonly T[], size = CHUNK): Generator<readonly T[]> {
  for (let start = 0; start < values.length; start += size) yield values.slice(start, start + size);
}
