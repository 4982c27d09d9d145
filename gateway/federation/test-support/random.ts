/** A value in [0, 1) that depends on the text alone. */
export function chance(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash ^= text.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  // FNV-1a leaves the high bits of short texts alike; this mixes them.
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x45d9f3b);
  hash ^= hash >>> 16;
  return (hash >>> 0) / 2 ** 32;
}

/** A repeatable sequence of values in [0, 1). */
export function sequence(seed: string): () => number {
  let count = 0;
  return () => chance(`${seed}:${count++}`);
}

export function pick<T>(list: readonly T[], at: number): T {
  const chosen = list[Math.floor(at * list.length)];
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen;
}
