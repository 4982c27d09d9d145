import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/** About a fifth of a normal thread's share when all cores are busy. */
const NICE = 7;

/**
 * Lets this thread give way to the others of its process, where the system can tell threads apart (Linux): senders wait
 * for the main thread, nobody waits for this one. Elsewhere nothing happens.
 */
export function giveWayToOtherThreads(): void {
  try {
    const [thread] = /\d+$/.exec(readlinkSync('/proc/thread-self')) ?? [];
    if (thread !== undefined) setPriority(Number(thread), NICE);
  } catch {
    // It works all the same, and only a little later.
  }
}
