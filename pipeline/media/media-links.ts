import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { fault } from '../../schema/errors.ts';
import type { AccessScope, Principal } from '../../schema/principal.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import { deriveKey } from '../../storage/derive-key.ts';
import type { LoggedEvent } from '../../storage/event-log.ts';

/** Where one-time links lead to. */
export const MEDIA_PATH = '/media/';

/** Long enough to open a page with the event, too short to end up in a report. */
export const DEFAULT_LIFE_MS = 600_000;
/** A client needs some time to use what it was given. */
export const MIN_LIFE_MS = 10_000;
/** Whoever has the link needs no token: it must not outlive a change of mind by much. */
export const MAX_LIFE_MS = 3_600_000;

const KEY_BYTES = 16;
const KIND = 'media';

/** What a link opens, for whom, and for how long. */
export interface MediaGrant {
  /** Makes it one of a kind. */
  readonly key: Buffer;
  readonly eventKey: Buffer;
  /** Of the media of the event. */
  readonly index: number;
  /** What its maker may see, narrowed to the event. */
  readonly access: AccessScope;
  /** Who made it, see `whoIs`. */
  readonly who: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface MediaLinks {
  /**
   * A link that opens a picture or clip once. Made without a word to the store: what is never used costs nothing.
   *
   * @param lifeMs 10 seconds to 1 hour; shorter when the token of the principal ends before
   * @throws GraphQLError BAD_USER_INPUT for another life
   */
  make(
    principal: Principal,
    event: Pick<LoggedEvent, 'key' | 'org_id' | 'site_id'>,
    index: number,
    lifeMs: number,
  ): string;
  /** @returns null for what `make` of this deployment did not make; it may have ended, or been used */
  parse(token: string): MediaGrant | null;
}

const Grant = z.tuple([
  z.base64url(),
  z.base64url(),
  z.int().nonnegative(),
  z.string(),
  z.string().nullable(),
  z.boolean(),
  z.string(),
  z.int(),
]);

/** The same for all tokens of a principal, and not its name. */
export function whoIs({ kind, id }: Pick<Principal, 'kind' | 'id'>): string {
  return createHash('sha256').update(`${kind} ${id}`).digest('base64url').slice(0, 22);
}

/**
 * @param masterKey 32 bytes; the links' own keys are derived from it, so that all processes take each other's links
 * @param publicUrl where the front door is for the world; read for each link
 * @param now milliseconds since the epoch
 */
export function createMediaLinks({
  masterKey,
  publicUrl,
  now,
}: {
  readonly masterKey: Uint8Array;
  readonly publicUrl: URL;
  readonly now: () => number;
}): MediaLinks {
  // Sealed as cursors are, under keys of their own: nobody can read what a link is about, or make one.
  const codec = createCursorCodec(deriveKey(masterKey, 'media links'));

  return {
    make(principal, event, index, lifeMs) {
      if (lifeMs < MIN_LIFE_MS || lifeMs > MAX_LIFE_MS)
        throw fault('BAD_USER_INPUT', 'A link to media lives from 10 seconds to 1 hour (PT10S to PT1H).');
      const tokenEndsAt = principal.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
      const grant: z.input<typeof Grant> = [
        randomBytes(KEY_BYTES).toString('base64url'),
        Buffer.from(event.key).toString('base64url'),
        index,
        event.org_id,
        event.site_id,
        principal.access.siteIds !== null,
        whoIs(principal),
        Math.floor(Math.min(now() + lifeMs, tokenEndsAt)),
      ];
      return new URL(`${MEDIA_PATH}${codec.encode(KIND, grant)}`, publicUrl).href;
    },
    parse(token) {
      const parsed = Grant.safeParse(codec.decode(KIND, token));
      if (!parsed.success) return null;
      const [key, eventKey, index, orgId, siteId, isLimited, who, expiresAt] = parsed.data;
      // An event without a site is for those who see the whole org.
      const siteIds = isLimited ? (siteId === null ? [] : [siteId]) : null;
      return {
        key: Buffer.from(key, 'base64url'),
        eventKey: Buffer.from(eventKey, 'base64url'),
        index,
        access: { orgIds: [orgId], siteIds },
        who,
        expiresAt,
      };
    },
  };
}
