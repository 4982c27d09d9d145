import type { IncomingHttpHeaders } from 'node:http';

/** More headers, or longer ones, tell nothing about an event. */
const MAX_HEADERS = 32;
const MAX_VALUE_CHARACTERS = 256;

/** Hop by hop, or said elsewhere. */
const DROPPED = new Set([
  'accept',
  'accept-encoding',
  'connection',
  // What is stored was decompressed.
  'content-encoding',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Whatever proves or grants something, under whichever name: what is stored must not open anything. */
const SENSITIVE = /auth|cookie|credential|key|passw|secret|signature|token|session/;

const isKept = new Map<string, boolean>();
/** Names are the senders': the memory of what we decided about them is bounded. */
const MAX_REMEMBERED = 1_000;

function keeps(name: string): boolean {
  let kept = isKept.get(name);
  if (kept === undefined) {
    kept = !DROPPED.has(name) && !SENSITIVE.test(name);
    if (isKept.size < MAX_REMEMBERED) isKept.set(name, kept);
  }
  return kept;
}

/** Headers as the inbox keeps them: JSON, without credentials and signatures. */
export function storedHeaders(headers: IncomingHttpHeaders): string {
  const stored: Record<string, string> = {};
  let count = 0;
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || !keeps(name)) continue;
    if (++count > MAX_HEADERS) break;
    stored[name] = (typeof value === 'string' ? value : value.join(', ')).slice(0, MAX_VALUE_CHARACTERS);
  }
  return JSON.stringify(stored);
}
