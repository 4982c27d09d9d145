import { createHash } from 'node:crypto';

// What simulated platforms show: bytes that begin as their kind does, and are the same for the same label.

function filled(label: string, size: number): Buffer {
  return Buffer.alloc(size, createHash('sha256').update(label).digest());
}

/** Begins like a JPEG. */
export function pictureBytes(label: string, size: number): Buffer {
  const bytes = filled(label, size);
  bytes.set([0xff, 0xd8, 0xff, 0xe0]);
  return bytes;
}

/** Begins like an MP4. */
export function clipBytes(label: string, size: number): Buffer {
  const bytes = filled(label, size);
  bytes.set(Buffer.from('\0\0\0\u0018ftypisom', 'latin1'));
  return bytes;
}
