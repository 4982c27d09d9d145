import { TransportError } from './transport.ts';

/** How long one request to the graph may take, and who may end it earlier. Every wait of the request goes through it. */
export class RequestScope {
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #waiting = new Set<(reason: unknown) => void>();
  readonly #onAbort = (): void => this.#end(this.#signal.reason);
  #ended: { readonly reason: unknown } | null = null;

  /** @param deadlineMs from now */
  constructor(signal: AbortSignal, deadlineMs: number) {
    this.#signal = signal;
    this.#timer = setTimeout(
      () => this.#end(new TransportError('TIMEOUT', 'The deadline of the request passed before the data arrived.')),
      deadlineMs,
    );
    if (signal.aborted) this.#end(signal.reason);
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** The caller has gone: nobody reads the answer. */
  get isAbandoned(): boolean {
    return this.#signal.aborted;
  }

  /** Why it ended before its time; null while it goes on. */
  get ended(): { readonly reason: unknown } | null {
    return this.#ended;
  }

  /**
   * Calls back once with the reason when the request ends before its time. Not for a scope that has ended already.
   *
   * @returns call it when the wait is over
   */
  onEnd(callback: (reason: unknown) => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  /** Must be called when the request is answered. */
  close(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#waiting.clear();
  }

  #end(reason: unknown): void {
    if (this.#ended !== null) return;
    this.#ended = { reason };
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const callback of waiting) callback(reason);
  }
}
