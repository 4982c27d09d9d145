import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';

// Servers and load generators are processes of their own, so that none takes time from the one that is measured.

/** What a child can be asked for. Both sides are ours: what is said between them is taken as it comes. */
export type Calls = Readonly<Record<string, (input: never) => unknown>>;

export interface Child<C extends Calls> {
  /** @throws Error with the child's message; what the call throws there, or its end */
  call<Name extends keyof C>(name: Name, input: Parameters<C[Name]>[0]): Promise<Awaited<ReturnType<C[Name]>>>;
  /** CPU that the whole process has used so far, in milliseconds. */
  cpuMs(): Promise<number>;
  /** Resident memory after a garbage collection, in KiB. */
  residentKib(): Promise<number>;
  stop(): Promise<void>;
}

interface Question {
  readonly id: number;
  readonly name: string;
  readonly input: unknown;
}

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

const TASKSET = '/usr/bin/taskset';
/** A child that does not end by itself is ended. */
const STOP_MS = 5_000;

/** With one core there is nothing to pin, and without `taskset` nothing to pin with. */
export const isPinned: boolean = availableParallelism() > 1 && existsSync(TASKSET);

/**
 * @param core the server's is 0, the load generator's 1: neither waits for the other's turn. Null: whatever is free, for
 *   a product whose threads shall have all cores
 */
export function startChild<C extends Calls>(file: string, core: 0 | 1 | null): Child<C> {
  const node = [process.execPath, ...process.execArgv, '--expose-gc', new URL(file, import.meta.url).pathname];
  const [command = '', ...args] = isPinned && core !== null ? [TASKSET, '-c', String(core), ...node] : node;
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let nextId = 0;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      for (const { reject } of waiting.values()) reject(new Error(`${file} ended (${signal ?? code})`));
      waiting.clear();
      resolve();
    });
  });
  child.on('message', (reply: Reply) => {
    const waiter = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.error === undefined) waiter?.resolve(reply.value);
    else waiter?.reject(new Error(reply.error));
  });
  const ask = (name: string, input: unknown): Promise<unknown> =>
    new Promise((resolve, reject) => {
      nextId += 1;
      waiting.set(nextId, { resolve, reject });
      child.send({ id: nextId, name, input } satisfies Question);
    });

  return {
    call: (name, input) => ask(String(name), input) as ReturnType<Child<C>['call']> as never,
    cpuMs: async () => Number(await ask('cpuMs', null)),
    residentKib: async () => Number(await ask('residentKib', null)),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      await ask('stop', null).catch(() => undefined);
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(force);
    },
  };
}

/** The child's side: answers calls until it is told to stop. @param onStop gives everything back */
export function answerCalls(calls: Calls, onStop: () => Promise<void> | void = () => undefined): void {
  const own: Record<string, (input: never) => unknown> = {
    ...calls,
    cpuMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    residentKib() {
      globalThis.gc?.();
      return process.memoryUsage.rss() / 1_024;
    },
    async stop() {
      await onStop();
    },
  };
  async function answer({ id, name, input }: Question): Promise<void> {
    let reply: Reply;
    try {
      reply = { id, value: await own[name]?.(input as never) };
    } catch (error) {
      reply = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(reply, () => {
      // Not process.exit: a profile is written at the natural end.
      if (name === 'stop') process.disconnect();
    });
  }
  process.on('message', (question: Question) => void answer(question));
}
