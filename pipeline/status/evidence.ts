import { z } from 'zod';
import { DEVICE_STATES, EVIDENCE_SOURCES, STATUS_REASONS } from '../../schema/words.ts';

/** One per source and integration; a device has one integration and few sources. */
const MAX_EVIDENCE = 8;

const Entry = z.object({
  source: z.enum(EVIDENCE_SOURCES),
  integrationId: z.string(),
  state: z.enum(DEVICE_STATES),
  reason: z.enum(STATUS_REASONS).nullable(),
  /** By the source's clock. */
  observedAt: z.number(),
  receivedAt: z.number(),
  /** The delivery it came in; 0: in none. */
  inboxId: z.number().default(0),
});

/** The newest word of one source on a device's state; instants in milliseconds since the epoch. */
export type Evidence = z.infer<typeof Entry>;

/** @param text as stored; words of a newer release that was rolled back are passed over */
export function parseEvidence(text: string): readonly Evidence[] {
  if (text === '[]') return [];
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) return [];
  return list.flatMap((each) => {
    const entry = Entry.safeParse(each);
    return entry.success ? [entry.data] : [];
  });
}

function compare(a: Evidence, b: Evidence): number {
  return a.observedAt - b.observedAt || a.receivedAt - b.receivedAt || a.inboxId - b.inboxId;
}

/** Adds a word: of each source and integration the newest stays, whatever order they come in; newest first. */
export function withEvidence(before: readonly Evidence[], word: Evidence): readonly Evidence[] {
  const own = before.find(
    ({ source, integrationId }) => source === word.source && integrationId === word.integrationId,
  );
  if (own !== undefined && compare(own, word) > 0) return before;
  return [...before.filter((each) => each !== own), word]
    .toSorted((a, b) => compare(b, a) || (a.source < b.source ? -1 : 1))
    .slice(0, MAX_EVIDENCE);
}
