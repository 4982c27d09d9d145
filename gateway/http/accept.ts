import { GRAPHQL_TYPE, JSON_TYPE } from './answer.ts';

export const STREAM_TYPE = 'text/event-stream';

/** What a client can read. */
export interface Accepted {
  /** Media type for one answer; null when the client reads none of ours. */
  readonly answer: typeof JSON_TYPE | typeof GRAPHQL_TYPE | null;
  /** It reads server-sent events. */
  readonly stream: boolean;
}

/**
 * Reads the `accept` header. Weights are left aside but for zero: of our two types the newer one is better whenever a
 * client knows it, and its absence means the older one.
 */
export function parseAccept(header: string | undefined): Accepted {
  if (header === undefined || header.trim() === '') return { answer: JSON_TYPE, stream: false };
  const types = new Set(
    header
      .toLowerCase()
      .split(',')
      .filter((part) => !/;\s*q=0(\.0*)?\s*(;|$)/.test(part))
      .map((part) => part.split(';', 1)[0]?.trim() ?? ''),
  );
  const isAnything = types.has(JSON_TYPE) || types.has('*/*') || types.has('application/*');
  return {
    answer: types.has(GRAPHQL_TYPE) ? GRAPHQL_TYPE : isAnything ? JSON_TYPE : null,
    stream: types.has(STREAM_TYPE),
  };
}
