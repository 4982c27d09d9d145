import { StorageError } from '../storage-error.ts';

// SQLite has one writer. Two threads of this process that both write would find each other's lock by trying again every
// few milliseconds, and the one that writes back to back would always win. They take turns in shared memory instead.

/** Slots of the shared memory: whose turn it is, then whether each thread waits. */
const TURN = 0;
const FIRST_WAITING = 1;

const FREE = 0;
const WRITING_THREADS = 2;

/** Who was woken looks again at least this often, in milliseconds: a thread that died may have been meant. */
const LOOK_AGAIN_MS = 100;
/** Longer than a transaction may take. */
const GIVE_UP_MS = 35_000;

/** One of the threads that write to a file. The first, number 0, opens it before the others and closes it after them. */
export interface WritingThread {
  readonly memory: SharedArrayBuffer;
  /** 0 or 1. */
  readonly number: number;
}

/** Shared by the threads that write to one file. */
export function createTurnMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * (FIRST_WAITING + WRITING_THREADS));
}

/** One thread's side. It has at most one writer that asks: its own transactions stand in a queue before. */
export interface WriteTurn {
  /** @throws StorageError `BUSY` after 35 seconds */
  acquire(): Promise<void>;
  release(): void;
}

/** The turn is a thread's. */
const takenBy = (thread: number): number => thread + 1;
/** It was given up for a thread that waits: nobody else may take it, however soon they ask. */
const keptFor = (thread: number): number => -(thread + 1);

function nextWaiting(cells: Int32Array): number {
  for (let thread = 0; thread < WRITING_THREADS; thread++) {
    if (Atomics.load(cells, FIRST_WAITING + thread) > 0) return keptFor(thread);
  }
  return FREE;
}

/** @param thread its number */
export function createWriteTurn(memory: SharedArrayBuffer, thread: number): WriteTurn {
  const cells = new Int32Array(memory);
  const own = takenBy(thread);

  const take = (from: number): boolean => Atomics.compareExchange(cells, TURN, from, own) === from;

  async function wait(): Promise<void> {
    const giveUpAt = performance.now() + GIVE_UP_MS;
    Atomics.store(cells, FIRST_WAITING + thread, 1);
    try {
      for (;;) {
        const turn = Atomics.load(cells, TURN);
        if ((turn === FREE || turn === keptFor(thread)) && take(turn)) return;
        if (performance.now() >= giveUpAt) throw new StorageError('BUSY', 'another thread did not stop writing');
        const woken = Atomics.waitAsync(cells, TURN, turn, LOOK_AGAIN_MS);
        if (woken.async) await woken.value;
      }
    } finally {
      Atomics.store(cells, FIRST_WAITING + thread, 0);
      // Who gave up leaves nothing that is kept for it.
      if (Atomics.compareExchange(cells, TURN, keptFor(thread), FREE) === keptFor(thread)) Atomics.notify(cells, TURN);
    }
  }

  return {
    async acquire() {
      if (!take(FREE)) await wait();
    },
    release() {
      Atomics.store(cells, TURN, nextWaiting(cells));
      Atomics.notify(cells, TURN);
    },
  };
}

/** After the end of a thread, however it ended: what it held is free, and nothing is kept for it any more. */
export function forgetThread(memory: SharedArrayBuffer, thread: number): void {
  const cells = new Int32Array(memory);
  Atomics.store(cells, FIRST_WAITING + thread, 0);
  for (const mark of [takenBy(thread), keptFor(thread)]) Atomics.compareExchange(cells, TURN, mark, nextWaiting(cells));
  Atomics.notify(cells, TURN);
}
