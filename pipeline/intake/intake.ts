// The webhook edge: bytes in, durable, acknowledged. What they mean is found out later, so that a surprise in a
// payload becomes a dead letter and not an error that makes the sender give up.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Database } from '../../storage/database.ts';
import type { Vault } from '../../storage/vault.ts';
import { InboxFullError, type InboxWriter } from '../inbox/inbox-writer.ts';
import { storedHeaders } from '../inbox/stored-headers.ts';
import { type Refusal, strangerVerifier } from '../signatures/verifier.ts';
import {
  accept,
  DISABLED,
  type IntakeAnswer,
  NOT_GZIP,
  OVERLOADED,
  RATE_LIMITED,
  refuse,
  STALE,
  tooLarge,
  UNAUTHENTICATED,
  UNAVAILABLE,
  UNSUPPORTED_ENCODING,
} from './answers.ts';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import { createReceipts } from '../receipts/receipts.ts';
import { createConsultation, evidenceOf } from './consultation.ts';
import { createPressure } from './pressure.ts';
import { createQuestions } from './questions.ts';
import { inflate, MAX_INFLATED_BYTES } from './inflate.ts';
import { readBody } from './read-body.ts';
import { createRefusals } from './refusals.ts';
import { createSecretUses } from './secret-uses.ts';
import { createWebhookSources, type WebhookSource } from './sources.ts';

/** Larger than any delivery of a platform we know; reliability and memory are planned with it. */
export const DEFAULT_MAX_BODY_BYTES = 256 * 1_024;

export interface IntakeDeps {
  readonly db: Database;
  readonly vault: Vault;
  readonly inbox: InboxWriter;
  readonly logger: Logger;
  /** Whose decoders say which events a delivery brought, for its sender's receipts; default none. */
  readonly vendors?: readonly Vendor[];
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number;
  /** Default 256 KiB; of a compressed body, as it was sent. */
  readonly maxBodyBytes?: number;
  /** Slugs of vendors whose bodies may come compressed with gzip; default none. */
  readonly gzipVendors?: ReadonlySet<string>;
  /** By slug: vendors whose proven senders may send larger bodies; default none. */
  readonly largeBodies?: ReadonlyMap<string, number>;
  /** Deliveries that may wait to be processed before new ones are refused; default 500,000. */
  readonly maxBacklog?: number;
  /** Deliveries of one integration in a second; default 20,000. */
  readonly maxPerSecond?: number;
}

export interface Intake {
  /**
   * Answers one delivery: 202 when it is durable, 200 when it was there before, otherwise a refusal with a stable code.
   * Never rejects.
   *
   * @param rest what follows the integration in the path, without the slash: the secret of profile PATH_SECRET
   */
  handle(req: IncomingMessage, res: ServerResponse, integrationId: string, rest?: string): Promise<void>;
  /**
   * Tells a sender what became of what it sent: `GET …/receipts?eventId=…`. Never rejects.
   *
   * @param rest what follows the integration in the path, without the slash: `receipts`, and the secret of profile
   *   PATH_SECRET before it
   */
  ask(req: IncomingMessage, res: ServerResponse, integrationId: string, rest: string): Promise<void>;
  /** Writes what was only counted so far. Deliveries in flight are the server's to finish first. */
  close(): Promise<void>;
}

const NO_BODY = Buffer.alloc(0);

const REASONS: Readonly<Record<Refusal, string>> = {
  UNSIGNED: 'its signature headers are missing or malformed',
  BAD_SIGNATURE: 'no current secret made its signature',
  STALE: 'its timestamp is too far from our clock',
};

export function createIntake(deps: IntakeDeps): Intake {
  const { db, inbox, logger } = deps;
  const now = deps.now ?? Date.now;
  const maxBodyBytes = deps.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
  const gzipVendors = deps.gzipVendors ?? new Set<string>();
  const largeBodies = deps.largeBodies ?? new Map<string, number>();
  const sources = createWebhookSources({ db, vault: deps.vault, logger, now });
  const consultation = createConsultation({ db, vault: deps.vault, logger, now });
  const refusals = createRefusals({ db, logger, consultation });
  const receipts = createReceipts({ db, vendors: deps.vendors ?? [], now });
  const question = createQuestions({ sources, receipts, now });
  const uses = createSecretUses({ db, logger });
  const pressure = createPressure({ db, now, maxBacklog: deps.maxBacklog, maxPerSecond: deps.maxPerSecond });

  /** Refused deliveries that were answered and are yet to be noted. */
  const unnoted = new Set<Promise<void>>();

  /** After the answer has left: being known must not take longer than being unknown. */
  function noteRefusal(
    req: IncomingMessage,
    { orgId, integrationId }: WebhookSource,
    refusal: Refusal,
    { body, receivedAt, rest }: { readonly body: Buffer; readonly receivedAt: number; readonly rest: string },
  ): void {
    const noted = new Promise<void>((resolve) => {
      setImmediate(() => {
        const stage = refusal === 'STALE' ? 'REPLAY_WINDOW' : 'SIGNATURE';
        const isExamined = stage === 'SIGNATURE' && consultation.take(integrationId);
        const evidence = isExamined ? evidenceOf(req.headers, body, req.url ?? '', rest) : null;
        const headers = storedHeaders(req.headers);
        const reason = REASONS[refusal];
        refusals.note({ orgId, integrationId, stage, reason, receivedAt, headers, body, evidence });
        resolve();
      });
    }).finally(() => unnoted.delete(noted));
    unnoted.add(noted);
  }

  /** @returns null when the delivery may come in */
  function judge(
    req: IncomingMessage,
    source: WebhookSource | null,
    body: Buffer,
    receivedAt: number,
    rest: string,
  ): IntakeAnswer | null {
    const verdict = (source?.verifier ?? strangerVerifier).check(req.headers, body, receivedAt, rest);
    if (!verdict.isAuthentic || source === null) {
      const refusal = verdict.isAuthentic ? 'BAD_SIGNATURE' : verdict.refusal;
      if (source !== null) noteRefusal(req, source, refusal, { body, receivedAt, rest });
      return refusal === 'STALE' ? STALE : UNAUTHENTICATED;
    }
    // Only after the proof: whoever cannot sign learns nothing about the integration and cannot use up its rate.
    if (!source.isEnabled) return DISABLED;
    if (!pressure.take(source.integrationId)) return RATE_LIMITED;
    if (pressure.isBacklogged()) return OVERLOADED;
    uses.note(verdict.secretId, receivedAt);
    return null;
  }

  /** More than the usual only for who has proven to be the platform before a byte of the body is read. */
  async function bodyLimit(req: IncomingMessage, integrationId: string, rest: string): Promise<number> {
    const source = await sources.get(integrationId);
    const limit = source === null ? undefined : largeBodies.get(source.vendor);
    if (source === null || limit === undefined || !source.isProvenByPath || !source.isEnabled) return maxBodyBytes;
    const verdict = source.verifier?.check(req.headers, NO_BODY, now(), rest);
    return verdict?.isAuthentic === true ? limit : maxBodyBytes;
  }

  async function answer(req: IncomingMessage, res: ServerResponse, integrationId: string, rest: string): Promise<void> {
    const encoding = req.headers['content-encoding'];
    const isGzip = encoding === 'gzip' && gzipVendors.size > 0;
    if (encoding !== undefined && encoding !== 'identity' && !isGzip) return refuse(res, UNSUPPORTED_ENCODING, true);
    const isLarge = largeBodies.size > 0 && !(Number(req.headers['content-length']) <= maxBodyBytes);
    const limit = isLarge ? await bodyLimit(req, integrationId, rest) : maxBodyBytes;
    const body = await readBody(req, limit);
    if (body === 'ABORTED') return;
    if (body === 'TOO_LARGE') return refuse(res, tooLarge(limit), true);
    const receivedAt = now();
    const found = sources.get(integrationId);
    const source = found instanceof Promise ? await found : found;
    const refusal = judge(req, source, body, receivedAt, rest);
    if (refusal !== null || source === null) return refuse(res, refusal ?? UNAUTHENTICATED);
    // Who may compress is nothing that a stranger is told: it comes after the proof, which is over the bytes as sent.
    if (isGzip && !gzipVendors.has(source.vendor)) return refuse(res, UNSUPPORTED_ENCODING);
    const content = isGzip ? await inflate(body) : body;
    if (content === 'TOO_LARGE') return refuse(res, tooLarge(MAX_INFLATED_BYTES));
    if (content === 'NOT_GZIP') return refuse(res, NOT_GZIP);
    const { deliveryId, isDuplicate } = await inbox.append({
      orgId: source.orgId,
      integrationId,
      source: 'WEBHOOK',
      receivedAt,
      headers: storedHeaders(req.headers),
      body: content,
    });
    accept(res, deliveryId, isDuplicate);
  }

  return {
    async handle(req, res, integrationId, rest = '') {
      try {
        await answer(req, res, integrationId, rest);
      } catch (error) {
        // The inbox and the source cache say what is wrong, once; here it would be said for every delivery.
        if (!res.headersSent) refuse(res, error instanceof InboxFullError ? OVERLOADED : UNAVAILABLE);
        logger.debug({ err: error, integrationId }, 'A delivery could not be stored');
      }
    },
    async ask(req, res, integrationId, rest) {
      try {
        await question(req, res, integrationId, rest);
      } catch (error) {
        if (!res.headersSent) refuse(res, UNAVAILABLE);
        logger.warn({ err: error, integrationId }, 'A question for receipts could not be answered');
      }
    },
    async close() {
      sources.close();
      await Promise.all(unnoted);
      await refusals.close();
      await uses.close();
    },
  };
}
