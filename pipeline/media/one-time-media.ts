import type { Logger } from 'pino';
import { z } from 'zod';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { HttpClientFactory } from '../../adapter-kit/http/http-client.ts';
import { MEDIA_DEADLINE_MS, openAddress } from '../../adapter-kit/media.ts';
import type { InboundMessage, MediaContent, MediaRef } from '../../adapter-kit/model.ts';
import { type AccessScope, hasScope, type Principal } from '../../schema/principal.ts';
import { EVIDENCE_SOURCES } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import { getEvents, type LoggedEvent } from '../../storage/event-log.ts';
import { eventId } from '../../storage/ids.ts';
import { readDelivery } from '../../storage/inbox.ts';
import { giveMediaLinkBack, isMediaLinkUsed, takeMediaLink } from '../../storage/media-links.ts';
import type { IntegrationRuntime, OpenIntegration } from '../integrations/runtime.ts';
import { asAdapterError } from '../integrations/user-errors.ts';
import { type CheckedBody, checkBody } from './checked-body.ts';
import { type MediaGrant, type MediaLinks, whoIs } from './media-links.ts';
import { allowedType, extensionOf, mediaTypeOf } from './media-type.ts';
import { parseStoredMedia, type StoredMedia } from './stored-media.ts';

/** Links that are open at once, each with up to 1 MiB in memory and a connection to a platform. */
const MAX_OPEN = 64;

/** Media that is on its way. */
export interface OpenedMedia {
  /** One that a browser does not run. */
  readonly contentType: string;
  readonly fileName: string;
  /** Null: it is longer than what is looked at ahead. */
  readonly sizeBytes: number | null;
  /**
   * To be read once. What the platform breaks gives the link back; whoever stops reading has used it.
   *
   * @throws AdapterError
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** Must be called in the end, read or not; may be called again. */
  close(): void;
}

/** Pictures and clips of events behind links that open once. */
export interface OneTimeMedia {
  /**
   * Whether a link would open now; it is not used up by that.
   *
   * @param opener who proves to be asking; null when nobody does, which is how pages load pictures
   * @returns the type that the event told, null for none; undefined when the link is not good: forged, ended, used, or for
   *   an event that its maker may not read any more
   */
  look(token: string, opener: Principal | null): Promise<string | null | undefined>;
  /**
   * Uses a link.
   *
   * @returns undefined when it is not good, as for `look`
   * @throws AdapterError when the platform does not hand the media over; the link is as good as before then
   */
  open(token: string, opener: Principal | null, signal: AbortSignal): Promise<OpenedMedia | undefined>;
}

export interface OneTimeMediaDeps {
  readonly db: Database;
  readonly links: MediaLinks;
  readonly runtime: Pick<IntegrationRuntime, 'use'>;
  readonly http: HttpClientFactory;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface Granted {
  readonly grant: MediaGrant;
  readonly event: LoggedEvent;
  readonly media: StoredMedia;
}

const Headers = z.record(z.string(), z.string()).catch({});

/** Opens media by the guarded client, with the integration's credentials where its platform wants them. */
export function createOneTimeMedia(deps: OneTimeMediaDeps): OneTimeMedia {
  const { db, links, runtime, http, logger, now } = deps;
  let openNow = 0;

  async function granted(token: string, opener: Principal | null): Promise<Granted | null> {
    const grant = links.parse(token);
    if (grant === null || now() >= grant.expiresAt) return null;
    const event = await readable(grant, grant.access);
    if (event === null) return null;
    if (opener !== null) {
      const isMaker = whoIs(opener) === grant.who && hasScope(opener, 'events:read');
      if (!isMaker || (await readable(grant, opener.access)) === null) return null;
    }
    const media = parseStoredMedia(event.media)[grant.index];
    return media === undefined ? null : { grant, event, media };
  }

  async function readable({ eventKey }: MediaGrant, access: AccessScope): Promise<LoggedEvent | null> {
    const [event] = await getEvents(db, access, [eventKey]);
    return event ?? null;
  }

  async function nativeDeviceOf({ device_id: id }: LoggedEvent): Promise<string | null> {
    if (id === null) return null;
    const row = await db.read.selectFrom('devices').select('native_id').where('id', '=', id).executeTakeFirst();
    return row?.native_id ?? null;
  }

  async function deliveryOf({ inbox_id: id }: LoggedEvent): Promise<InboundMessage | null> {
    const row = id === null ? null : await readDelivery(db, id);
    if (row === null) return null;
    return {
      body: row.body,
      headers: Headers.parse(JSON.parse(row.headers)),
      source: EVIDENCE_SOURCES.find((name) => name === row.source) ?? 'WEBHOOK',
      receivedAt: new Date(row.received_at),
    };
  }

  async function refOf({ event, media }: Granted): Promise<MediaRef> {
    return {
      url: media.url,
      contentType: media.contentType ?? null,
      sha256: media.sha256 ?? null,
      occurredAt: new Date(event.occurred_at),
      nativeDeviceId: await nativeDeviceOf(event),
      delivery: () => deliveryOf(event),
    };
  }

  async function contentOf(open: OpenIntegration, ref: MediaRef, signal: AbortSignal): Promise<MediaContent> {
    if (open.integration.enabled !== 1) throw new AdapterError('MISCONFIGURED', 'The integration is switched off');
    return open.adapter.openMedia === undefined
      ? openAddress(http, ref.url, signal)
      : open.adapter.openMedia(ref, signal);
  }

  /** Keeps the adapter for as long as the media is read. @param over called when nothing more is wanted of it */
  function hold(from: Granted, ref: MediaRef, signal: AbortSignal, over: Promise<void>): Promise<MediaContent> {
    const { promise, resolve, reject } = Promise.withResolvers<MediaContent>();
    runtime
      .use(from.event.integration_id, async (open) => {
        const content = await contentOf(open, ref, signal);
        resolve(content);
        await over;
        await content.close();
      })
      .catch(reject);
    return promise;
  }

  async function giveBack({ grant, event }: Granted, cause: unknown): Promise<AdapterError> {
    const error = asAdapterError(cause);
    const fields = { integrationId: event.integration_id, code: error.code };
    logger.warn(fields, 'Media of an event could not be opened');
    await giveMediaLinkBack(db, grant.key).catch((failure: unknown) => {
      logger.error({ ...fields, err: failure }, 'A link to media could not be given back');
    });
    return error;
  }

  async function use(from: Granted, signal: AbortSignal): Promise<OpenedMedia> {
    const { promise: over, resolve: finish } = Promise.withResolvers<void>();
    // Both what the caller waits for, and how long anything takes.
    const ended = AbortSignal.any([signal, AbortSignal.timeout(MEDIA_DEADLINE_MS)]);
    openNow += 1;
    let isOver = false;
    const close = (): void => {
      if (isOver) return;
      isOver = true;
      openNow -= 1;
      finish();
    };
    try {
      const ref = await refOf(from);
      const content = await hold(from, ref, ended, over);
      const checked = await checkBody(content.body, ref.sha256);
      const contentType = mediaTypeOf(checked.start, [content.contentType, ref.contentType]);
      if (contentType === null) throw new AdapterError('BAD_PAYLOAD', 'the platform answered with what is no media');
      const name = eventId(from.event.key).replace(/^evt_/, 'event-');
      return {
        contentType,
        fileName: `${name}-${from.grant.index + 1}.${extensionOf(contentType)}`,
        sizeBytes: checked.sizeBytes,
        body: read(from, checked, signal),
        close,
      };
    } catch (error) {
      close();
      throw await giveBack(from, error);
    }
  }

  async function* read(
    from: Granted,
    { head, rest }: CheckedBody,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* head;
      yield* rest;
    } catch (error) {
      if (signal.aborted) throw error;
      throw await giveBack(from, error);
    }
  }

  return {
    async look(token, opener) {
      const found = await granted(token, opener);
      if (found === null || (await isMediaLinkUsed(db, found.grant.key))) return undefined;
      return allowedType(found.media.contentType);
    },
    async open(token, opener, signal) {
      const found = await granted(token, opener);
      if (found === null) return undefined;
      if (openNow >= MAX_OPEN)
        throw new AdapterError('RATE_LIMITED', 'Too much media is being read', { retryAfterMs: 1_000 });
      if (!(await takeMediaLink(db, found.grant.key, found.grant.expiresAt))) return undefined;
      return use(found, signal);
    },
  };
}
