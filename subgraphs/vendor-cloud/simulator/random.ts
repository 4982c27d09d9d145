import { createHash } from 'node:crypto';

/** Uniform in [0, 1), the same sequence for the same seed. */
export type Random = () => number;

/** @see "mulberry32": small, fast, and good enough for a simulation */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function pick<T>(random: Random, list: readonly [T, ...T[]]): T {
  return list[Math.floor(random() * list.length)] ?? list[0];
}

function bytesOf(seed: number, label: string): Buffer {
  return createHash('sha256').update(`${seed}\0${label}`).digest();
}

/** A UUID (version 8: by our own rule) that is the same for the same seed and label. */
export function uuidOf(seed: number, label: string): string {
  const bytes = bytesOf(seed, label).subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A locally administered unicast address, so that it is nobody's. */
export function macOf(seed: number, label: string): string {
  const digits = bytesOf(seed, `mac ${label}`).subarray(0, 5).toString('hex').toUpperCase();
  return `02:${(digits.match(/../g) ?? []).join(':')}`;
}
