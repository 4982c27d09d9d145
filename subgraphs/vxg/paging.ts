// Lists of the service: read to the end by its own `next`, entry by entry, each id once.
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { describeIssues, WireEnvelope } from './wire.ts';

/** A page of a list. */
export interface WirePage<T> {
  readonly items: readonly { readonly value: T; readonly raw: unknown }[];
  readonly rejected: readonly { readonly nativeId: string | null; readonly reason: string }[];
  /** Entries of the whole list; null when the service does not tell. */
  readonly total: number | null;
  /** What to ask with for the next page; null after the last. */
  readonly next: Query | null;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

/** Pages of one list: at 500 entries a million, more than any account has. */
const MAX_PAGES = 2_000;

const AnyId = z.object({ id: z.union([z.int(), z.string().max(100)]).transform(String) });

/** What comes in is an address of the platform's choice: only its query is used, and never a token in it. */
function readNext(next: string | null, baseUrl: URL): Query | null {
  if (next === null || next.trim() === '') return null;
  const url = URL.parse(next, baseUrl);
  if (url === null || url.host !== baseUrl.host)
    throw new AdapterError('BAD_PAYLOAD', 'the next page of a list is said to be on another host');
  return Object.fromEntries([...url.searchParams].filter(([name]) => name !== 'token'));
}

/** @throws AdapterError BAD_PAYLOAD for what is no list */
export function parsePage<T>(body: unknown, schema: z.ZodType<T>, baseUrl: URL): WirePage<T> {
  const envelope = WireEnvelope.safeParse(body);
  if (!envelope.success) throw new AdapterError('BAD_PAYLOAD', `a list is none: ${describeIssues(envelope.error)}`);
  const { objects, next, total } = envelope.data;
  const items: { value: T; raw: unknown }[] = [];
  const rejected: { nativeId: string | null; reason: string }[] = [];
  for (const raw of objects) {
    const parsed = schema.safeParse(raw);
    if (parsed.success) items.push({ value: parsed.data, raw });
    else {
      const id = AnyId.safeParse(raw);
      rejected.push({ nativeId: id.success ? id.data.id : null, reason: describeIssues(parsed.error) });
    }
  }
  return { items, rejected, total, next: objects.length === 0 ? null : readNext(next, baseUrl) };
}

/**
 * Every page of a list, in order.
 *
 * @throws AdapterError as the calls do; BAD_PAYLOAD for a list that turns in a circle or has no end
 */
export async function* walk<T>(
  read: (query: Query) => Promise<WirePage<T>>,
  first: Query,
): AsyncGenerator<{ readonly query: Query; readonly page: WirePage<T> }> {
  let query = first;
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const page = await read(query);
    yield { query, page };
    if (page.next === null) return;
    if (offsetOf(page.next) <= offsetOf(query))
      throw new AdapterError('BAD_PAYLOAD', 'a list says that its next page is one that was read');
    query = page.next;
  }
  throw new AdapterError('BAD_PAYLOAD', `a list has more than ${MAX_PAGES} pages`);
}

export function offsetOf(query: Query): number {
  const offset = Number(query['offset'] ?? 0);
  return Number.isSafeInteger(offset) && offset >= 0 ? offset : 0;
}
