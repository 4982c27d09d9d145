import type { PlainSegment, Span } from '../../../storage/status-segments.ts';

// What a device was at each second of a window, told from its history, planned work and the times when nobody listened.
// Instants are cut to whole seconds first, so that everything that is added up later adds up exactly.

/**
 * ONLINE, DEGRADED, OFFLINE and UNKNOWN are the device's state. NO_HISTORY: before it was first seen, after it was
 * removed, or before its history begins. SOURCE_OUTAGE: its source, or we, could not be heard. MAINTENANCE: planned work.
 */
export type Kind = 'ONLINE' | 'DEGRADED' | 'OFFLINE' | 'UNKNOWN' | 'NO_HISTORY' | 'SOURCE_OUTAGE' | 'MAINTENANCE';

/** Whole seconds since the epoch; `to` is behind the last. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly kind: Kind;
}

/** Pieces that cover a window without a hole, in order; neighbours differ. */
export type Timeline = readonly Piece[];

/** What one device's timeline is made of. Instants in milliseconds, lists in any order. */
export interface TimelineInput {
  readonly segments: readonly PlainSegment[];
  readonly firstSeenAt: number;
  readonly removedAt: number | null;
  readonly maintenance: readonly Span[];
  /** Of its integration and of ourselves; open ones end with the window. */
  readonly outages: readonly { readonly from: number; readonly to: number | null }[];
}

function stateKind(state: string): Kind {
  return state === 'ONLINE' || state === 'DEGRADED' || state === 'OFFLINE' ? state : 'UNKNOWN';
}

const toSeconds = (ms: number): number => Math.floor(ms / 1_000);

/** Spans in whole seconds within a window, in order, none within or beside another. */
function merged(spans: TimelineInput['outages'], window: Span): Span[] {
  const inside = spans
    .map(({ from, to }) => ({
      from: Math.max(toSeconds(from), window.from),
      to: to === null ? window.to : Math.min(toSeconds(to), window.to),
    }))
    .filter(({ from, to }) => from < to)
    .toSorted((a, b) => a.from - b.from);
  const result: Span[] = [];
  for (const span of inside) {
    const last = result.at(-1);
    if (last === undefined || last.to < span.from) result.push(span);
    else if (last.to < span.to) result[result.length - 1] = { from: last.from, to: span.to };
  }
  return result;
}

/** Answers whether an instant lies in one of these spans, for instants that only grow. */
function follow(spans: readonly Span[]): (at: number) => boolean {
  let next = 0;
  return (at) => {
    while ((spans[next]?.to ?? Infinity) <= at) next += 1;
    return (spans[next]?.from ?? Infinity) <= at;
  };
}

/**
 * A device's timeline over a window. Where several things are true, the first of these counts: no history because the
 * device was not there, planned work, an outage of the source, its state.
 *
 * @param window whole seconds, not empty
 */
export function timelineOf(input: TimelineInput, window: Span): Timeline {
  const segments = input.segments
    .map(({ from, to, state }) => ({
      from: toSeconds(from),
      to: to === null ? Infinity : toSeconds(to),
      kind: stateKind(state),
    }))
    .toSorted((a, b) => a.from - b.from);
  const maintenance = merged(input.maintenance, window);
  const outages = merged(input.outages, window);
  const present = {
    from: toSeconds(input.firstSeenAt),
    to: input.removedAt === null ? Infinity : toSeconds(input.removedAt),
  };

  const bounds = [present, ...segments, ...maintenance, ...outages]
    .flatMap(({ from, to }) => [from, to])
    .filter((at) => at > window.from && at < window.to);
  const starts = [window.from, ...new Set(bounds.toSorted((a, b) => a - b))];
  const isPlanned = follow(maintenance);
  const isUnheard = follow(outages);
  let next = 0;

  function kindAt(at: number): Kind {
    while ((segments[next + 1]?.from ?? Infinity) <= at) next += 1;
    if (at < present.from || at >= present.to) return 'NO_HISTORY';
    if (isPlanned(at)) return 'MAINTENANCE';
    if (isUnheard(at)) return 'SOURCE_OUTAGE';
    const segment = segments[next];
    return segment !== undefined && segment.from <= at && at < segment.to ? segment.kind : 'NO_HISTORY';
  }

  const pieces: Piece[] = [];
  for (const [index, from] of starts.entries()) {
    const to = starts[index + 1] ?? window.to;
    const kind = kindAt(from);
    const last = pieces.at(-1);
    if (last?.kind === kind) pieces[pieces.length - 1] = { ...last, to };
    else pieces.push({ from, to, kind });
  }
  return pieces;
}
