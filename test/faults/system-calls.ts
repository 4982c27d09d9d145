// Reads what `strace -f -xx -y` wrote down: which bytes went to which file and when they were forced to the disk.
// @see strace(1): a call during which another thread made one is split in `<unfinished ...>` and `<... resumed>`.

/** Calls that matter to what a power cut leaves behind. */
export const TRACED = 'pwrite64,pwritev,write,writev,sendmsg,sendto,fsync,fdatasync,ftruncate';

/** The longest write that is shown whole: more than a page of the database or an answer. */
export const LONGEST_SHOWN = 9_000;

export type Call =
  | { readonly kind: 'write'; readonly path: string; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
  | { readonly kind: 'sync'; readonly path: string }
  /** Bytes to a socket, a pipe or a file that is only ever appended to. */
  | { readonly kind: 'send'; readonly path: string; readonly bytes: Buffer };

/** A call has begun, or has come back without an error. */
export interface Step {
  readonly phase: 'begin' | 'end';
  readonly call: Call;
}

function unhex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex');
}

function parseCall(text: string): Call | null {
  const head = /^(\w+)\(\d+<((?:\\x[0-9a-f]{2})*)>/.exec(text);
  if (head === null) return null;
  const [, name = '', hexPath = ''] = head;
  const path = unhex(hexPath).toString();
  if (name === 'fsync' || name === 'fdatasync') return { kind: 'sync', path };
  if (name === 'ftruncate') return { kind: 'truncate', path, length: Number(/>, (\d+)/.exec(text)?.[1]) };
  const texts = [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g)];
  const bytes = Buffer.concat(texts.map(([, hex = '']) => unhex(hex)));
  if (name !== 'pwrite64' && name !== 'pwritev') return { kind: 'send', path, bytes };
  if (texts.some(([, , cut]) => cut !== undefined)) throw new Error(`a write to ${path} is longer than what is shown`);
  // The last argument; of a call that is split it stands before `<unfinished`.
  const offset = Number(/, (\d+)(?:\)| <unfinished)/.exec(text.slice(text.lastIndexOf('"')))?.[1]);
  return { kind: 'write', path, offset, bytes };
}

function hasFailed(text: string): boolean {
  // Paths and bytes are in hex: nothing of theirs can look like this.
  return /[)>]\s+= -1 /.test(text);
}

/** In the order in which things happened. */
export function parseTrace(trace: string): Step[] {
  const open = new Map<string, Call | null>();
  const steps: Step[] = [];
  for (const line of trace.split('\n')) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (text.startsWith('<...')) {
      const call = open.get(thread) ?? null;
      open.delete(thread);
      if (call !== null && !hasFailed(text)) steps.push({ phase: 'end', call });
      continue;
    }
    const call = parseCall(text);
    if (text.endsWith('<unfinished ...>')) {
      open.set(thread, call);
      if (call !== null) steps.push({ phase: 'begin', call });
    } else if (call !== null) {
      steps.push({ phase: 'begin', call });
      if (!hasFailed(text)) steps.push({ phase: 'end', call });
    }
  }
  return steps;
}
