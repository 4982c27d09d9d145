import type { ServerResponse } from 'node:http';
import type { Backlog } from '../federation/hub.ts';
import { STREAM_TYPE } from './accept.ts';

/** Proxies cut what is silent for a minute, often less. */
const COMMENT_EVERY_MS = 15_000;
/** A client that reads slower than we write is cut off here; it comes back with its last cursor. */
export const MAX_BUFFERED_BYTES = 1_048_576;
/** For a client that was cut to read why; what waits for it is kept so long. */
const FAREWELL_MS = 2_000;

/** Server-sent events to one client. */
export interface EventStream {
  /**
   * @param text of the event's data, without line breaks
   * @param id what the client tells as `last-event-id` when it comes back; null leaves the last one
   */
  readonly send: (event: string, text: string, id: string | null) => void;
  /** Ends. Clients of EventSource come back by themselves. */
  readonly end: () => void;
  readonly backlog: Pick<Backlog, 'bytes'>;
}

/**
 * @param onSlow called once, when more waits for the client than may: say why and end
 * @param onGone called once, when nothing more can be sent, for whatever reason
 */
export function openEventStream(
  response: ServerResponse,
  { onSlow, onGone }: { readonly onSlow: () => void; readonly onGone: () => void },
): EventStream {
  let isSlow = false;
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
    if (response.writableLength <= MAX_BUFFERED_BYTES || isSlow) return;
    isSlow = true;
    onSlow();
  }

  return {
    send(event, text, id) {
      write(`event: ${event}\n${id === null ? '' : `id: ${id}\n`}data:${text === '' ? '' : ` ${text}`}\n\n`);
    },
    end() {
      if (response.writableEnded || response.destroyed) return;
      clearInterval(comments);
      response.end();
      // Who does not read would keep what waits for him for as long as he likes.
      setTimeout(() => response.destroy(), FAREWELL_MS).unref();
    },
    backlog: { bytes: () => response.writableLength },
  };
}
