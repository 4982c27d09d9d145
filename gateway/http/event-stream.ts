import type { ServerResponse } from 'node:http';
import { STREAM_TYPE } from './accept.ts';

/** Proxies cut what is silent for a minute, often less. */
const COMMENT_EVERY_MS = 15_000;
/** A client that reads slower than we write is cut off here; it comes back with its last cursor. */
export const MAX_BUFFERED_BYTES = 1_048_576;

/**
 * Server-sent events of one operation.
 *
 * @see GraphQL over Server-Sent Events, "Distinct connections mode"
 */
export interface EventStream {
  /** @param text a GraphQL response as JSON text, which has no line breaks */
  readonly next: (text: string) => void;
  /** The operation has ended. */
  readonly complete: () => void;
  /** Ends without saying so: clients take it for a lost connection, and come back. */
  readonly interrupt: () => void;
}

/** @param onGone called once, when nothing more can be sent, for whatever reason */
export function openEventStream(response: ServerResponse, onGone: () => void): EventStream {
  response.writeHead(200, {
    'content-type': `${STREAM_TYPE}; charset=utf-8`,
    // nginx would collect it otherwise.
    'x-accel-buffering': 'no',
  });
  response.write(':\n\n');
  const comments = setInterval(() => write(':\n\n'), COMMENT_EVERY_MS);
  response.on('close', () => {
    clearInterval(comments);
    onGone();
  });

  function write(text: string): void {
    if (response.writableEnded || response.destroyed) return;
    response.write(text);
    if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
  }

  return {
    next: (text) => write(`event: next\ndata: ${text}\n\n`),
    complete() {
      write('event: complete\ndata:\n\n');
      response.end();
    },
    interrupt: () => void response.end(),
  };
}
