import { z } from 'zod';
import { parseStoredMedia } from '../../pipeline/media/stored-media.ts';
import type { EventBucket } from '../../storage/event-history.ts';
import type { LoggedEvent } from '../../storage/event-log.ts';
import type { DeadLetterRow } from '../../storage/inbox-dead-letters.ts';
import type { AsOf } from '../as-of.ts';
import type { Entry, Listing, Paged } from '../listing.ts';

// What resolvers are handed where it is not a row (see mappers.json), and what the JSON texts of a row hold.

/** Something that another subgraph knows more of. */
export interface Reference {
  readonly id: string;
}

/** Events, and how many there are; null where it would take too long to count them. */
export interface CountedEvents extends Paged<LoggedEvent> {
  readonly total: () => Promise<number | null>;
  /** By span of time. @throws GraphQLError BAD_USER_INPUT for a size that cannot be */
  readonly buckets: (sizeMs: number) => Promise<readonly EventBucket[] | null>;
}

export type EventListing = AsOf<CountedEvents>;
export type EventEntry = Entry<LoggedEvent>;
export type DeadLetterListing = Listing<DeadLetterRow>;
export type DeadLetterEntry = Entry<DeadLetterRow>;

/** EventDetails as the store keeps them. What a newer release wrote in another way is left out, not refused. */
const StoredDetails = z.object({
  localTime: z.enum(['AMBIGUOUS', 'SKIPPED']).optional().catch(undefined),
  zone: z.string().optional().catch(undefined),
  actors: z
    .array(z.object({ kind: z.string(), confidence: z.number().nullable() }))
    .optional()
    .catch(undefined),
  siaCode: z.string().optional().catch(undefined),
  contactIdCode: z.string().optional().catch(undefined),
  restoral: z.boolean().optional().catch(undefined),
  deepLink: z.string().optional().catch(undefined),
  outcome: z.string().optional().catch(undefined),
  credentialHint: z.string().optional().catch(undefined),
  personName: z.string().optional().catch(undefined),
  fault: z.string().optional().catch(undefined),
  metadata: z.unknown().optional(),
  detail: z.unknown().optional(),
  intervalSeconds: z.number().optional().catch(undefined),
  change: z.string().optional().catch(undefined),
});

export type Details = z.infer<typeof StoredDetails>;

const parsed = new WeakMap<LoggedEvent, Details>();

/** Parsed once per row, however many fields ask. */
export function detailsOf(event: LoggedEvent): Details {
  let details = parsed.get(event);
  if (details === undefined) {
    details = StoredDetails.parse(JSON.parse(event.details));
    parsed.set(event, details);
  }
  return details;
}

export interface MediaItem {
  readonly id: string;
  readonly event: LoggedEvent;
  readonly contentType: string | null;
  /** At its platform. */
  readonly address: string;
  readonly thumbnailUrl: string | null;
  readonly sizeBytes: number | null;
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly capturedAt: number | null;
  readonly sha256: string | null;
}

/** The bytes came with the delivery, and have no address. */
const INLINE = /^urn:sha256:/;

/** @param eventId of the event, of which the ids of its media are made */
export function mediaOf(event: LoggedEvent, eventId: string): MediaItem[] {
  return parseStoredMedia(event.media)
    .map((media, sequence) => ({
      id: `${eventId.replace(/^evt_/, 'media_')}_${sequence}`,
      event,
      contentType: media.contentType ?? null,
      address: media.url,
      thumbnailUrl: webAddress(media.thumbnailUrl),
      sizeBytes: media.sizeBytes ?? null,
      sequence,
      capturedAt: instant(media.capturedAt),
      sha256: media.sha256 ?? null,
    }))
    .filter(({ address }) => webAddress(address) !== null || INLINE.test(address));
}

function instant(text: string | null | undefined): number | null {
  const at = Date.parse(text ?? '');
  return Number.isNaN(at) ? null : at;
}

/** Clients open these addresses: what a platform sends as `javascript:` or `file:` is not passed on. */
export function webAddress(text: string | null | undefined): string | null {
  if (text === null || text === undefined || !URL.canParse(text)) return null;
  return /^https?:$/.test(new URL(text).protocol) ? text : null;
}
