import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Lru } from './lru.ts';
import { PLANNING_TIMEOUT_MS, type Planner, type PlannerFactory, type PlanNode } from './planner.ts';

export interface PlannerRequest {
  readonly id: number;
  readonly kind: 'load' | 'plan';
  readonly text: string;
}

export type PlannerReply =
  | { readonly id: number; readonly plan: PlanNode | null }
  | { readonly id: number; readonly error: string };

/** Operations that ended a planner are not given to the next one. */
const MAX_REMEMBERED = 1_000;

interface Waiting {
  readonly text: string;
  readonly resolve: (plan: PlanNode | null) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Planners in processes of their own: an operation that makes the planner end its process, or plan without end, costs
 * that operation, not the gateway. A new process is started with the next operation (about 100 ms, 60 MB).
 *
 * @param onCrash is told of each, with the operation that was being planned
 * @param workerPath for tests
 */
export function createPlannerProcess(
  onCrash: (error: Error) => void,
  workerPath: URL = new URL('./planner-worker.ts', import.meta.url),
): PlannerFactory {
  return (supergraphSdl) => new PlannerProcess(supergraphSdl, onCrash, workerPath);
}

class PlannerProcess implements Planner {
  readonly ready: Promise<void>;
  readonly #supergraphSdl: string;
  readonly #onCrash: (error: Error) => void;
  readonly #workerPath: URL;
  readonly #deadly = new Lru<string, true>(MAX_REMEMBERED);
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | null = null;
  #nextId = 0;
  #isClosed = false;

  constructor(supergraphSdl: string, onCrash: (error: Error) => void, workerPath: URL) {
    this.#supergraphSdl = supergraphSdl;
    this.#onCrash = onCrash;
    this.#workerPath = workerPath;
    this.ready = this.#start();
    // Whoever awaits it hears of it; nobody has to.
    this.ready.catch(() => undefined);
  }

  async plan(operation: string): Promise<PlanNode | null> {
    if (this.#isClosed) throw new Error('the planner is closed');
    const hash = hashOf(operation);
    if (this.#deadly.get(hash) === true) throw new Error('the planner has ended on this operation before');
    if (this.#child === null) await this.#start();
    return this.#send('plan', operation);
  }

  /** What is being planned is still answered. */
  close(): void {
    this.#isClosed = true;
    if (this.#waiting.size === 0) this.#child?.kill();
  }

  async #start(): Promise<void> {
    const child = fork(this.#workerPath, {
      // It needs nothing of what this process was started with.
      env: {},
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child = child;
    child.on('message', (reply: PlannerReply) => this.#settle(reply));
    child.once('error', (error) => this.#lost(child, error));
    child.once('exit', (code, signal) => this.#lost(child, new Error(`the planner ended (${signal ?? code})`)));
    child.unref();
    child.channel?.unref();
    await this.#send('load', this.#supergraphSdl);
  }

  #send(kind: PlannerRequest['kind'], text: string): Promise<PlanNode | null> {
    const child = this.#child;
    if (child === null) return Promise.reject(new Error('the planner ended'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // The planner does not look up from its work: only its end can stop it.
        this.#lost(child, new Error('the planner took too long'));
      }, PLANNING_TIMEOUT_MS);
      this.#waiting.set(id, { text, resolve, reject, timer });
      child.send({ id, kind, text } satisfies PlannerRequest);
    });
  }

  #settle(reply: PlannerReply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    this.#waiting.delete(reply.id);
    clearTimeout(waiting.timer);
    if (this.#isClosed && this.#waiting.size === 0) this.#child?.kill();
    if ('error' in reply) waiting.reject(new Error(reply.error));
    else waiting.resolve(reply.plan);
  }

  #lost(child: ChildProcess, error: Error): void {
    if (this.#child !== child) return;
    this.#child = null;
    child.kill('SIGKILL');
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    if (!this.#isClosed) this.#onCrash(error);
    // The worker takes one after the other: the oldest is the one it ended on, the others may be tried again.
    const [culprit] = lost;
    if (culprit !== undefined && culprit.text !== this.#supergraphSdl) this.#deadly.set(hashOf(culprit.text), true);
    for (const { timer, reject } of lost) {
      clearTimeout(timer);
      reject(error);
    }
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}
