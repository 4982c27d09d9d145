// Reads lists of OnGuard objects: whole types page by page, or what hangs on some panels.
import type { Logger } from 'pino';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { mapConcurrent } from '../../adapter-kit/map-concurrent.ts';
import { OpenAccessError } from './calls.ts';
import { type OnGuardClient, PAGE_SIZE } from './client.ts';
import { BOARD_SUFFIX, type Kind, KINDS, nativeIdOf, type Place } from './kinds.ts';
import { intOf, type Properties, textOf } from './properties.ts';
import type { OnGuardSettings } from './settings.ts';
import type { WirePage } from './wire.ts';

/** Pages of one type: a hundred thousand objects, fifty times the largest site that was ever certified. */
const MAX_PAGES = 1_000;
/** Pages of one list read at once. */
const WAVE = 4;
/** A list that changes while it is read is read again so often. */
const MAX_READS = 3;
/** Panels in one filter: beyond it addresses become longer than web servers take. */
const PANELS_PER_FILTER = 20;

/** One object of the inventory. */
export interface Instance {
  readonly kind: Kind;
  readonly nativeId: string;
  readonly place: Place;
  readonly properties: Properties;
}

export interface InstanceList {
  readonly instances: readonly Instance[];
  readonly rejected: readonly { readonly nativeId: string | null; readonly reason: string }[];
  /** What the platform says there are, less those it hides from everybody; null when it does not say. */
  readonly total: number | null;
}

export interface InventoryReader {
  /** Kinds that this integration lists. */
  readonly kinds: readonly Kind[];
  /** A whole type. A release that does not know the type has none of it. */
  all(kind: Kind, signal: AbortSignal): Promise<InstanceList>;
  /** What of a type hangs on these panels. */
  ofPanels(kind: Kind, panelIds: readonly number[], signal: AbortSignal): Promise<readonly Instance[]>;
  /** One page of a type, from 1. */
  page(
    kind: Kind,
    page: number,
    signal: AbortSignal,
  ): Promise<{ readonly list: InstanceList; readonly isLast: boolean }>;
  /** Id and name of the segments; empty where segmentation is off. */
  segments(signal: AbortSignal): Promise<ReadonlyMap<number, string>>;
}

/** A type of the platform as it is listed: equipment, or what is listed like it. */
type ListedType = Pick<Kind, 'typeName' | 'orderBy'>;

/** Without these there is no OnGuard; any other type may be missing in a release. */
const NEEDED: ReadonlySet<string> = new Set(['Lnl_Panel', 'Lnl_Reader']);

const SEGMENTS: ListedType = { typeName: 'Lnl_Segment', orderBy: ['ID'] };

export function createInventoryReader(
  client: OnGuardClient,
  settings: OnGuardSettings,
  logger: Logger,
): InventoryReader {
  const kinds = KINDS.filter(
    ({ name }) =>
      (name !== 'input' || settings.types.inputs) &&
      (name !== 'output' || settings.types.outputs) &&
      (name !== 'camera' || settings.types.cameras),
  );
  /** What a release turned out to sort by. */
  const sortedBy = new Map<string, string | undefined>();
  const missing = new Set<string>();

  async function readPage(
    kind: ListedType,
    filter: string | undefined,
    page: number,
    signal: AbortSignal,
  ): Promise<WirePage> {
    const { typeName } = kind;
    if (missing.has(typeName)) return { items: [], total: 0 };
    const orders = sortedBy.has(typeName) ? [sortedBy.get(typeName)] : [...kind.orderBy, undefined];
    let refusal: AdapterError | null = null;
    for (const orderBy of orders) {
      try {
        const answer = await client.instances({ typeName, filter, orderBy, page }, signal);
        if (!sortedBy.has(typeName)) sortedBy.set(typeName, orderBy);
        return answer;
      } catch (error) {
        if (!(error instanceof OpenAccessError) || !error.isUnknownItem) throw error;
        refusal = error;
      }
    }
    // Not a question of sorting: the release does not have the type.
    if (refusal !== null && (NEEDED.has(typeName) || sortedBy.has(typeName))) throw refusal;
    missing.add(typeName);
    logger.warn({ typeName }, 'OnGuard does not know a type; it is left out');
    return { items: [], total: 0 };
  }

  async function walk(kind: ListedType, filter: string | undefined, signal: AbortSignal): Promise<WirePage> {
    for (let read = 1; ; read += 1) {
      const first = await readPage(kind, filter, 1, signal);
      const pages = [first, ...(await restOf(kind, filter, first, signal))];
      const items = pages.flatMap((page) => page.items);
      const isSteady = pages.every(({ items: some, total }) => some.length === 0 || total === first.total);
      if (isSteady || read >= MAX_READS) return { items, total: first.total };
    }
  }

  async function restOf(
    kind: ListedType,
    filter: string | undefined,
    first: WirePage,
    signal: AbortSignal,
  ): Promise<readonly WirePage[]> {
    if (first.total !== null) {
      const last = Math.ceil(first.total / PAGE_SIZE);
      if (last > MAX_PAGES) throw tooMany(kind);
      const numbers = Array.from({ length: Math.max(0, last - 1) }, (_, index) => index + 2);
      return mapConcurrent(numbers, WAVE, signal, (number, inner) => readPage(kind, filter, number, inner));
    }
    const pages: WirePage[] = [];
    for (let last = first; last.items.length >= PAGE_SIZE; ) {
      if (pages.length >= MAX_PAGES) throw tooMany(kind);
      last = await readPage(kind, filter, pages.length + 2, signal);
      pages.push(last);
    }
    return pages;
  }

  async function segmentNames(signal: AbortSignal): Promise<ReadonlyMap<number, string>> {
    const named = new Map<number, string>();
    const { items } = await walk(SEGMENTS, undefined, signal);
    for (const item of items) {
      const id = intOf(item, 'ID') ?? intOf(item, 'segment_id');
      if (id !== null) named.set(id, textOf(item, 'Name') ?? textOf(item, 'segment_name') ?? `Segment ${id}`);
    }
    return named;
  }

  return {
    kinds,
    all: async (kind, signal) => instancesOf(kind, await walk(kind, undefined, signal)),
    async ofPanels(kind, panelIds, signal) {
      const groups: number[][] = [];
      for (let from = 0; from < panelIds.length; from += PANELS_PER_FILTER)
        groups.push(panelIds.slice(from, from + PANELS_PER_FILTER));
      const lists = await mapConcurrent(groups, WAVE, signal, async (group, inner) => {
        const filter = group.map((id) => `${kind.panelProperty} = ${id}`).join(' OR ');
        return instancesOf(kind, await walk(kind, filter, inner)).instances;
      });
      return lists.flat();
    },
    async page(kind, number, signal) {
      const page = await readPage(kind, undefined, number, signal);
      const isLast = page.items.length < PAGE_SIZE || (page.total !== null && number * PAGE_SIZE >= page.total);
      return { list: instancesOf(kind, page), isLast };
    },
    async segments(signal) {
      let isSegmented = true;
      try {
        isSegmented = await client.isSegmented(signal);
      } catch (error) {
        // A release or an account that does not tell: whether there are segments is seen by listing them.
        if (!(error instanceof AdapterError) || !['NOT_FOUND', 'FORBIDDEN', 'BAD_PAYLOAD'].includes(error.code))
          throw error;
      }
      return isSegmented ? segmentNames(signal) : new Map();
    },
  };
}

function tooMany(kind: ListedType): AdapterError {
  return new AdapterError('TOO_LARGE', `the list of ${kind.typeName} has more than ${MAX_PAGES} pages`);
}

function instancesOf(kind: Kind, { items, total }: WirePage): InstanceList {
  // By id: an object that moves to the next page while we read is still one object.
  const instances = new Map<string, Instance>();
  const rejected: { nativeId: string | null; reason: string }[] = [];
  let hidden = 0;
  for (const properties of items) {
    const place = kind.placeOf(properties);
    if (place === null) {
      rejected.push({ nativeId: null, reason: `a ${kind.typeName} without the numbers that make its key` });
    } else if (kind.name === 'camera' && textOf(properties, 'Name') === null) {
      // Channels of a recorder that nobody uses.
      hidden += 1;
    } else {
      const nativeId = nativeIdOf(kind.name, place);
      instances.set(nativeId, { kind, nativeId, place, properties });
    }
  }
  return { instances: [...instances.values()], rejected, total: total === null ? null : total - hidden };
}

/** Boards whose number a reader has too get an id of their own. */
export function withoutClashes(boards: readonly Instance[], readers: readonly Instance[]): readonly Instance[] {
  const taken = new Set(readers.map(({ nativeId }) => nativeId));
  return boards.map((board) =>
    taken.has(board.nativeId) ? { ...board, nativeId: board.nativeId + BOARD_SUFFIX } : board,
  );
}
