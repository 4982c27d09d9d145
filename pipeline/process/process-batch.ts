import type { Logger } from 'pino';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { EVIDENCE_SOURCES } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import { postpone, settleDead, settleDone, stillPending } from '../../storage/inbox.ts';
import type { InboxRow, IntegrationRow } from '../../storage/rows.ts';
import { StorageError } from '../../storage/storage-error.ts';
import { countUnknownCodes, type UnknownCode } from '../../storage/unknown-codes.ts';
import type { ClockSample, SourceClocks } from './source-clock.ts';
import { applyPushedInventory } from '../sync/pushed-inventory.ts';
import type { MissingIds } from './missing-ids.ts';
import { inChunks } from './chunks.ts';
import { noteToldPositions } from './told-positions.ts';
import { type Decoded, decodeContext, decodeDelivery } from './decode-delivery.ts';
import { type EventItem, type EventOutcome, type EventWriter, lockIntegration, ringForEvents } from './event-writer.ts';

/** A delivery that breaks the processing is tried as often as this, then set aside. */
export const MAX_ATTEMPTS = 5;
/** Before attempts two to five: a passing cause is over by then, a release may take longer and has the replay. */
const BACKOFF_MS = [1_000, 5_000, 30_000, 120_000] as const;

export interface BatchDeps {
  readonly db: Database;
  readonly writer: EventWriter;
  readonly clocks: SourceClocks;
  readonly missingIds: MissingIds;
  readonly vendors: ReadonlyMap<string, Vendor>;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Called after a pushed inventory added devices: what waited for them can be replayed. */
  readonly onDevicesAdded?: (integrationId: string) => void;
}

interface Work {
  readonly row: InboxRow;
  readonly decoded: Decoded;
}

/**
 * Turns deliveries of one integration into events, in order, in one transaction; each row is settled in it as well, so
 * a crash at any moment leaves a delivery either untouched or done. When the transaction fails, its parts are tried, and
 * theirs: a delivery that breaks it takes nobody with it.
 *
 * @throws StorageError that can pass (the disk is full, the database is away): nothing was counted against anybody
 */
export async function processBatch(
  deps: BatchDeps,
  integration: IntegrationRow,
  rows: readonly InboxRow[],
): Promise<void> {
  const bindings = await deps.db.read
    .selectFrom('site_bindings')
    .selectAll()
    .where('integration_id', '=', integration.id)
    .execute();
  const vendor = deps.vendors.get(integration.vendor);
  const work = decodeAll(vendor, integration, bindings, rows);
  for (const segment of segmentsOf(work)) await writeOrIsolate(deps, integration, segment);
  ringForEvents(deps.db, integration);
}

/**
 * Some are written alone, in their place: inventories, since an event behind one is of devices that it may have brought,
 * and what broke a transaction before, which would take the others with it again.
 */
function segmentsOf(work: readonly Work[]): readonly (readonly Work[])[] {
  const segments: Work[][] = [];
  let open: Work[] | null = null;
  for (const each of work) {
    const isSuspect = each.decoded.kind === 'EVENTS' && each.row.next_attempt_at !== null;
    if (each.decoded.kind === 'INVENTORY' || isSuspect) {
      segments.push([each]);
      open = null;
    } else if (open === null) segments.push((open = [each]));
    else open.push(each);
  }
  return segments;
}

function decodeAll(
  vendor: Vendor | undefined,
  integration: IntegrationRow,
  bindings: Parameters<typeof decodeContext>[2],
  rows: readonly InboxRow[],
): readonly Work[] {
  if (vendor === undefined) {
    const error = new TypeError(`vendor ${integration.vendor} is not part of this deployment`);
    return rows.map((row) => ({ row, decoded: { kind: 'BROKEN', error } }));
  }
  try {
    const context = decodeContext(vendor, integration, bindings);
    return rows.map((row) => ({ row, decoded: decodeDelivery(vendor, row, context) }));
  } catch (error) {
    return rows.map((row) => ({ row, decoded: { kind: 'BROKEN', error } }));
  }
}

function canPass(error: unknown): boolean {
  return error instanceof StorageError && error.retryable;
}

async function writeOrIsolate(deps: BatchDeps, integration: IntegrationRow, work: readonly Work[]): Promise<void> {
  try {
    const added = await deps.db.write((tx) => writeBatch(deps, tx, integration, work));
    if (added > 0) deps.onDevicesAdded?.(integration.id);
  } catch (error) {
    if (canPass(error)) throw error;
    const [only] = work;
    if (only !== undefined && work.length === 1) {
      await deps.db.write((tx) => countAttempt(deps, tx, only.row, error));
      return;
    }
    // Not each alone: what is done in vain and the transactions that are added grow with the root of their number.
    for (const part of inChunks(work, Math.floor(Math.sqrt(work.length))))
      await writeOrIsolate(deps, integration, part);
  }
}

/** @returns how many devices were added */
async function writeBatch(deps: BatchDeps, tx: Tx, integration: IntegrationRow, all: readonly Work[]): Promise<number> {
  await lockIntegration(deps.db, tx, integration.id);
  const pending = await stillPending(
    tx,
    all.map(({ row }) => row.id),
  );
  const work = all.filter(({ row }) => pending.has(row.id));
  const items = work.flatMap(itemsOf);
  const now = deps.now();
  await noteToldPositions(tx, deps, integration, work.flatMap(tellingOf), now);
  const outcomes = await deps.writer.writeItems(tx, integration, items);
  await countUnknownCodes(tx, integration, unknownCodesOf(items, outcomes));
  const done: number[] = [];
  let at = 0;
  let added = 0;
  for (const { row, decoded } of work) {
    if (decoded.kind === 'BROKEN') {
      await countAttempt(deps, tx, row, decoded.error);
    } else if (decoded.kind === 'INVENTORY') {
      const context = {
        db: deps.db,
        events: deps.writer,
        integration,
        inboxId: row.id,
        receivedAt: row.received_at,
        now,
      };
      const outcome = await applyPushedInventory(tx, context, decoded.inventory);
      added += outcome.added;
      if (outcome.problem === null) done.push(row.id);
      else await settleDead(tx, row.id, { ...outcome.problem, now });
    } else if (decoded.kind === 'UNUSABLE') {
      await settleDead(tx, row.id, { stage: decoded.stage, reason: decoded.reason, now });
    } else {
      const own = outcomes.slice(at, at + decoded.drafts.length);
      at += decoded.drafts.length;
      const missing = own.filter((outcome) => outcome.kind === 'UNRESOLVED');
      const [first] = missing;
      // What could be resolved is in the log already; a replay finds it there and adds the rest.
      if (first === undefined) done.push(row.id);
      else await settleDead(tx, row.id, { stage: first.stage, reason: reasonOf(first.reason, missing, own), now });
    }
  }
  await settleDone(tx, done, now);
  await noteArrival(tx, integration, work, now);
  await deps.clocks.note(tx, integration, work.flatMap(clockSampleOf), now);
  await deps.missingIds.note(tx, integration, work.flatMap(pushedDraftsOf), now);
  await deps.db.arrivals?.moveWithin(tx);
  return added;
}

function reasonOf(reason: string, missing: readonly EventOutcome[], all: readonly EventOutcome[]): string {
  return all.length === 1 ? reason : `${missing.length} of ${all.length} events: ${reason}`;
}

function itemsOf({ row, decoded }: Work): readonly EventItem[] {
  if (decoded.kind !== 'EVENTS') return [];
  const origin = EVIDENCE_SOURCES.find((source) => source === row.source) ?? 'WEBHOOK';
  return decoded.drafts.map((draft) => ({
    draft,
    origin,
    receivedAt: row.received_at,
    inboxId: row.id,
    clockSkewMs: decoded.sentAt === null ? null : row.received_at - decoded.sentAt,
    // A stage that is left from before says that this is a replay.
    countsAsDuplicate: row.stage === null,
  }));
}

/** Of events that are new: a repetition tells nothing that was not counted before. */
function unknownCodesOf(items: readonly EventItem[], outcomes: readonly EventOutcome[]): readonly UnknownCode[] {
  return items.flatMap(({ draft, receivedAt }, index) =>
    draft.unknownCode !== undefined && outcomes[index]?.kind === 'WRITTEN'
      ? [{ code: draft.unknownCode, at: receivedAt }]
      : [],
  );
}

/** A replay tells nothing about a clock. */
function clockSampleOf({ row, decoded }: Work): readonly ClockSample[] {
  if (decoded.kind !== 'EVENTS' || row.stage !== null) return [];
  const occurredAt = decoded.drafts.map((draft) => draft.occurredAt.getTime());
  return [{ receivedAt: row.received_at, sentAt: decoded.sentAt, occurredAt }];
}

/** What is replayed tells where devices were. */
function tellingOf({ row, decoded }: Work) {
  if (decoded.kind !== 'EVENTS' || row.stage !== null) return [];
  return decoded.drafts.map((draft) => ({ draft, receivedAt: row.received_at }));
}

/** Ids are the vendor's to give in what it sends; what is polled or replayed tells nothing new of them. */
function pushedDraftsOf({ row, decoded }: Work): readonly EventDraft[] {
  return decoded.kind === 'EVENTS' && row.source === 'WEBHOOK' && row.stage === null ? decoded.drafts : [];
}

/** The platform was heard, whatever it said. */
async function noteArrival(tx: Tx, integration: IntegrationRow, work: readonly Work[], now: number): Promise<void> {
  const fromWebhook = work.filter(({ row }) => row.source === 'WEBHOOK' && row.stage === null);
  if (fromWebhook.length === 0) return;
  const at = Math.max(...fromWebhook.map(({ row }) => row.received_at));
  await tx
    .updateTable('integrations')
    .set({ last_webhook_at: at })
    .where('id', '=', integration.id)
    .where((eb) =>
      eb.or([
        eb('last_webhook_at', 'is', null),
        eb('last_webhook_at', '<', at),
        // By a clock that has been set back since: the platform is heard now, whatever that one said.
        eb('last_webhook_at', '>', now),
      ]),
    )
    .execute();
}

async function countAttempt({ logger, now }: BatchDeps, tx: Tx, row: InboxRow, error: unknown): Promise<void> {
  const attempts = row.attempts + 1;
  const backoff = BACKOFF_MS[attempts - 1];
  const fields = { integrationId: row.integration_id, inboxId: row.id, attempts, err: error };
  if (attempts < MAX_ATTEMPTS && backoff !== undefined) {
    logger.warn(fields, 'A delivery broke the processing and will be tried again');
    await postpone(tx, row.id, now() + backoff);
    return;
  }
  logger.error(fields, 'A delivery broke the processing too often and was set aside');
  // The error's text may quote the payload; its name cannot.
  const name = error instanceof Error ? error.name : 'unknown error';
  const reason = `the processing failed ${MAX_ATTEMPTS} times (${name})`;
  await settleDead(tx, row.id, { stage: 'DELIVERY', reason, now: now() });
}
