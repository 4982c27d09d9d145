import type { Call, Step } from './system-calls.ts';

type Change = Extract<Call, { kind: 'write' | 'truncate' }>;

/** Bytes of one file, as a disk has them. */
class Content {
  #bytes: Buffer;
  #length: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
    this.#length = bytes.byteLength;
  }

  apply(change: Change): void {
    if (change.kind === 'truncate') {
      this.#reserve(change.length);
      this.#bytes.fill(0, Math.min(this.#length, change.length), Math.max(this.#length, change.length));
      this.#length = change.length;
    } else {
      const end = change.offset + change.bytes.length;
      this.#reserve(end);
      change.bytes.copy(this.#bytes, change.offset);
      this.#length = Math.max(this.#length, end);
    }
  }

  copy(): Content {
    return new Content(this.bytes());
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const larger = Buffer.alloc(Math.max(length, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/**
 * What a disk is sure to hold: a write counts once a sync of its file, begun after the write had come back, has come
 * back too. Everything else may be lost, or may be there.
 */
export class DurableImage {
  readonly #files = new Map<string, Content>();
  readonly #pending = new Map<string, Change[]>();
  /** By sync: how many changes of its file it covers. */
  readonly #covered = new Map<Call, number>();
  /** Changes of each file that are on the disk; those before them left `#pending`. */
  readonly #settled = new Map<string, number>();

  constructor(files: ReadonlyMap<string, Uint8Array>) {
    for (const [path, bytes] of files) this.#files.set(path, new Content(bytes));
  }

  step({ phase, call }: Step): void {
    const { path } = call;
    if (call.kind === 'sync') {
      const pending = this.#pending.get(path) ?? [];
      const settled = this.#settled.get(path) ?? 0;
      if (phase === 'begin') {
        this.#covered.set(call, settled + pending.length);
      } else {
        const count = Math.max(0, (this.#covered.get(call) ?? 0) - settled);
        for (const change of pending.splice(0, count)) this.#content(path).apply(change);
        this.#settled.set(path, settled + count);
      }
    } else if (call.kind !== 'send' && phase === 'end') {
      const pending = this.#pending.get(path) ?? [];
      this.#pending.set(path, pending);
      pending.push(call);
    }
  }

  /**
   * The files as they may be found after a power cut at this moment.
   *
   * @param survives for each change that no sync covers, whether the disk wrote it all the same
   */
  afterPowerCut(survives: () => boolean): ReadonlyMap<string, Buffer> {
    const found = new Map<string, Buffer>();
    for (const path of new Set([...this.#files.keys(), ...this.#pending.keys()])) {
      const content = this.#files.get(path)?.copy() ?? new Content(Buffer.alloc(0));
      for (const change of this.#pending.get(path) ?? []) if (survives()) content.apply(change);
      found.set(path, content.bytes());
    }
    return found;
  }

  #content(path: string): Content {
    const known = this.#files.get(path) ?? new Content(Buffer.alloc(0));
    this.#files.set(path, known);
    return known;
  }
}
