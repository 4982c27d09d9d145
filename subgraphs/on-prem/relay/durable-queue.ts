// The relay's queue on disk: what is in it survives the end of the process and of the power. One file of lines that only
// grows, the place up to which the cloud has taken it in another.
import { mkdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { open, rename, unlink, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PushItem } from '../client.ts';

/** Taken lines in front before the file is written anew without them. */
const COMPACT_FROM = 10_000;

const Line = z.object({ kind: z.enum(['EVENT', 'BODY']), value: z.record(z.string(), z.unknown()) });
const Head = z.object({ from: z.int().nonnegative() });
const Place = z.object({ taken: z.int().nonnegative() });

export interface DurableQueue {
  /** What the cloud had not taken when it was opened, oldest first. */
  readonly backlog: readonly PushItem[];
  /** Lines at the end that a power cut left unfinished, and lines that cannot be read. */
  readonly damaged: number;
  /** Resolves when the items are on disk. Calls that come together share one sync. */
  append(items: readonly PushItem[]): Promise<void>;
  /** So many items were taken in all, since it was opened. Losing this costs a repetition, which the cloud knows again. */
  taken(count: number): void;
  /** Writes what waits. */
  close(): Promise<void>;
}

interface Loaded {
  /** Number of the first line of the file, counted from the beginning of time. */
  readonly from: number;
  /** Null: a line that cannot be read, whose place counts. */
  readonly items: readonly (PushItem | null)[];
  readonly damaged: number;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}

function parseLine(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads the file and cuts off what a crash left half written. */
function load(path: string): Loaded {
  const text = readOr(path, '');
  const end = text.lastIndexOf('\n') + 1;
  let damaged = 0;
  if (end < text.length) {
    damaged += 1;
    truncateSync(path, Buffer.byteLength(text.slice(0, end)));
  }
  const [first = '', ...lines] = text.slice(0, end).split('\n').slice(0, -1);
  const head = Head.safeParse(parseLine(first));
  const items = lines.map((line) => {
    const item = Line.safeParse(parseLine(line));
    if (!item.success) damaged += 1;
    return item.success ? item.data : null;
  });
  return { from: head.success ? head.data.from : 0, items, damaged };
}

function headLine(from: number): string {
  return `${JSON.stringify({ from })}\n`;
}

/** @param dir is made when it is not there. One process at a time */
export async function openDurableQueue(dir: string): Promise<DurableQueue> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, 'queue.ndjson');
  const placePath = join(dir, 'taken.json');
  const loaded = load(path);
  const place = Place.safeParse(parseLine(readOr(placePath, '')));
  const takenBefore = Math.min(
    Math.max(place.success ? place.data.taken : 0, loaded.from),
    loaded.from + loaded.items.length,
  );
  const backlog = loaded.items.slice(takenBefore - loaded.from).filter((item) => item !== null);
  let from = takenBefore;
  let taken = takenBefore;
  /** Lines that the cloud has not taken, as they stand in the file: the file is written anew from them. */
  let lines = backlog.map((item) => `${JSON.stringify(item)}\n`);
  let file = await rewrite();
  let waiting: { readonly text: string; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] =
    [];
  let writing: Promise<void> | null = null;
  let isPlaceDirty = false;
  /** A failed write may have left half a line: the file is written anew before the next one. */
  let isTorn = false;

  async function rewrite(): Promise<FileHandle> {
    const next = `${path}.next`;
    await writeFile(next, headLine(from) + lines.join(''), { flush: true, mode: 0o600 });
    await rename(next, path);
    return open(path, 'a', 0o600);
  }

  function savePlace(): void {
    isPlaceDirty = false;
    const next = `${placePath}.next`;
    writeFileSync(next, JSON.stringify({ taken }), { mode: 0o600 });
    renameSync(next, placePath);
  }

  async function compact(): Promise<void> {
    lines = lines.slice(taken - from);
    from = taken;
    await file.close().catch(() => {});
    file = await rewrite();
  }

  async function write(): Promise<void> {
    // What comes in the same turn shares the sync; and `writing` is set before it can be cleared.
    await Promise.resolve();
    while (waiting.length > 0 || isPlaceDirty) {
      const batch = waiting;
      waiting = [];
      try {
        if (batch.length > 0) {
          if (isTorn) await compact();
          isTorn = true;
          await file.appendFile(batch.map(({ text }) => text).join(''));
          await file.datasync();
          isTorn = false;
          for (const { text } of batch) for (const line of text.split('\n').slice(0, -1)) lines.push(`${line}\n`);
        }
        if (isPlaceDirty) {
          savePlace();
          if (taken - from >= COMPACT_FROM) await compact();
        }
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    // In the same turn as the last look: whoever comes after it starts the next writing.
    writing = null;
  }

  function wake(): void {
    writing ??= write();
  }

  return {
    backlog,
    damaged: loaded.damaged,
    append(items) {
      const text = items.map((item) => `${JSON.stringify(item)}\n`).join('');
      return new Promise((resolve, reject) => {
        waiting.push({ text, resolve, reject });
        wake();
      });
    },
    taken(count) {
      if (takenBefore + count <= taken) return;
      taken = takenBefore + count;
      isPlaceDirty = true;
      wake();
    },
    async close() {
      while (writing !== null) await writing;
      await file.close();
      await unlink(`${path}.next`).catch(() => {});
    },
  };
}
