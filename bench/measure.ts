import { setTimeout as wait } from 'node:timers/promises';

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[half]];
  return (low + high) / 2;
}

/** Order of the contestants in each round: every other round is turned round, so that nobody always comes first. */
export function roundsOf<T>(contestants: readonly T[], rounds: number): readonly T[] {
  return Array.from({ length: rounds }, (_, round) =>
    round % 2 === 0 ? contestants : contestants.toReversed(),
  ).flat();
}

/** @param what it is waited for, for the error @throws Error after three minutes */
export async function until<T>(what: string, look: () => T | null | Promise<T | null>): Promise<T> {
  const deadline = Date.now() + 180_000;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > deadline) throw new Error(`gave up waiting until ${what}`);
    await wait(20);
  }
}
