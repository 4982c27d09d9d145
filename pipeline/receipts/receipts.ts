// What we did with what a sender sent, told to that sender by its own ids.
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import { DEAD_LETTER_STAGES, type DeadLetterStage } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import { readDuplicateCounts } from '../../storage/event-dedupe.ts';
import { eventId } from '../../storage/ids.ts';
import {
  findDelivery,
  readProcessing,
  readReceiptEvents,
  type ReceiptDelivery,
  type ReceiptEvent,
  readRemembered,
  type Remembered,
  searchUnsettled,
} from '../../storage/receipts.ts';
import { diagnose } from '../dead-letters/diagnose.ts';
import { decodeContext, decodeDelivery } from '../process/decode-delivery.ts';
import { dedupeKeysToCheck, eventIdentity, vendorEventIdentity } from '../process/event-key.ts';

/**
 * - `ACCEPTED` it is in the log
 * - `DUPLICATE` it is in the log, and came more than once
 * - `LATE` it is in the log, and a newer claim about the device had been accepted before
 * - `REPLAYED` it is in the log since an operator or a new binding had it processed again
 * - `PENDING` it is on disk and waits to be processed
 * - `QUARANTINED` it cannot be used as things are; it is kept and can be replayed
 * - `UNKNOWN` nothing of this id came within seven days
 */
export type ReceiptStatus = 'ACCEPTED' | 'DUPLICATE' | 'LATE' | 'REPLAYED' | 'PENDING' | 'QUARANTINED' | 'UNKNOWN';

export interface Receipt {
  readonly eventId?: string;
  readonly deliveryId?: string;
  readonly status: ReceiptStatus;
  /** How often it came again. */
  readonly duplicates: number;
  readonly late: boolean;
  readonly replayed: boolean;
  /** RFC 3339; null while it is unknown. */
  readonly receivedAt: string | null;
  /** Ids of the resulting events in the graph. */
  readonly events: readonly string[];
  /** Of what is quarantined: where it stopped, why, and what would mend it. */
  readonly stage: DeadLetterStage | null;
  readonly reason: string | null;
  readonly diagnosis: readonly string[];
}

export interface ReceiptQuestion {
  /** The vendor's own ids. */
  readonly eventIds: readonly string[];
  /** As the answer to the delivery named them. */
  readonly deliveryIds: readonly string[];
}

export interface Receipts {
  /** One receipt per id, event ids first, in the order of the question. Of this integration only. */
  find(integrationId: string, question: ReceiptQuestion): Promise<readonly Receipt[]>;
}

export interface ReceiptsDeps {
  readonly db: Database;
  readonly vendors: readonly Vendor[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const DELIVERY_ID = /^dlv_([0-9a-f]{32})$/;
const HEAD_BYTES = 1_024;

type Facts = Omit<Receipt, 'eventId' | 'deliveryId'>;

const UNKNOWN: Facts = {
  status: 'UNKNOWN',
  duplicates: 0,
  late: false,
  replayed: false,
  receivedAt: null,
  events: [],
  stage: null,
  reason: null,
  diagnosis: [],
};

function hex(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex');
}

function unsettled(row: ReceiptDelivery, duplicates: number): Facts {
  const receivedAt = new Date(row.received_at).toISOString();
  const common = { ...UNKNOWN, duplicates, replayed: row.replays > 0, receivedAt };
  if (row.status === 'PENDING') return { ...common, status: 'PENDING' };
  const stage = DEAD_LETTER_STAGES.find((name) => name === row.stage) ?? 'DELIVERY';
  const diagnosis = diagnose(stage, { ...row, head: row.body.subarray(0, HEAD_BYTES) });
  return { ...common, status: 'QUARANTINED', stage, reason: row.reason, diagnosis };
}

function settled(events: readonly ReceiptEvent[], duplicates: number, replayed: boolean, receivedAt: number): Facts {
  const late = events.length > 0 && events.every((event) => event.late === 1);
  return {
    ...UNKNOWN,
    // The rarest is said, as it explains most; the others stand beside it.
    status: late ? 'LATE' : replayed ? 'REPLAYED' : duplicates > 0 ? 'DUPLICATE' : 'ACCEPTED',
    duplicates,
    late,
    replayed,
    receivedAt: new Date(receivedAt).toISOString(),
    events: events.map(({ key }) => eventId(key)),
  };
}

/** Whether a body names an id as a JSON value, not as a part of another one. */
function names(body: Uint8Array, id: string): boolean {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  if (text.includes(JSON.stringify(id))) return true;
  return /^\d+$/.test(id) && new RegExp(`(?<![\\w."])${id}(?![\\w."])`).test(text);
}

export function createReceipts({ db, vendors, now }: ReceiptsDeps): Receipts {
  const bySlug = new Map(vendors.map((vendor) => [vendor.slug, vendor]));

  /** @returns by hex of the identity, for those that are in the log */
  async function settledByIdentity(
    integrationId: string,
    identities: readonly Buffer[],
  ): Promise<ReadonlyMap<string, { readonly event: ReceiptEvent; readonly memory: Remembered }>> {
    const at = now();
    const identityOf = new Map(
      identities.flatMap((identity) =>
        dedupeKeysToCheck(identity, at).map((key) => [hex(key), hex(identity)] as const),
      ),
    );
    const keys = [...identityOf.keys()].map((key) => Buffer.from(key, 'hex'));
    const memories = (await readRemembered(db, keys)).filter(({ kind }) => kind === 'event');
    const events = await readReceiptEvents(
      db,
      integrationId,
      memories.map(({ ref }) => ref),
    );
    const bySeq = new Map(events.map((event) => [event.seq, event]));
    return new Map(
      memories.flatMap((memory) => {
        const event = bySeq.get(memory.ref);
        const identity = identityOf.get(hex(memory.key));
        return event === undefined || identity === undefined ? [] : [[identity, { event, memory }] as const];
      }),
    );
  }

  async function byEventIds(integrationId: string, ids: readonly string[]): Promise<ReadonlyMap<string, Facts>> {
    const identities = new Map(ids.map((id) => [id, vendorEventIdentity(integrationId, id)]));
    const known = await settledByIdentity(integrationId, [...identities.values()]);
    const inboxIds = [...known.values()].flatMap(({ event }) => event.inbox_id ?? []);
    const processing = await readProcessing(db, inboxIds);
    const repeats = await readDuplicateCounts(
      db,
      [...processing.values()].map((row) => row.delivery_key),
    );
    const facts = new Map<string, Facts>();
    for (const [id, identity] of identities) {
      const found = known.get(hex(identity));
      if (found === undefined) continue;
      const delivery = found.event.inbox_id === null ? undefined : processing.get(found.event.inbox_id);
      const again = delivery === undefined ? 0 : (repeats.get(hex(delivery.delivery_key)) ?? 0);
      const isReplayed = (delivery?.replays ?? 0) > 0;
      facts.set(id, settled([found.event], found.memory.duplicates + again, isReplayed, found.event.received_at));
    }
    const missing = ids.filter((id) => !facts.has(id));
    for (const row of await searchUnsettled(db, integrationId, missing)) {
      for (const id of missing) if (!facts.has(id) && names(row.body, id)) facts.set(id, unsettled(row, 0));
    }
    return facts;
  }

  /** What the delivery's events became: its vendor's decoder says which they are. */
  async function eventsIn(integrationId: string, row: ReceiptDelivery): Promise<readonly ReceiptEvent[]> {
    const integration = await db.read
      .selectFrom('integrations')
      .selectAll()
      .where('id', '=', integrationId)
      .executeTakeFirst();
    const vendor = integration === undefined ? undefined : bySlug.get(integration.vendor);
    if (integration === undefined || vendor === undefined) return [];
    const bindings = await db.read
      .selectFrom('site_bindings')
      .selectAll()
      .where('integration_id', '=', integrationId)
      .execute();
    const decoded = decodeDelivery(vendor, row, decodeContext(vendor, integration, bindings));
    if (decoded.kind !== 'EVENTS') return [];
    const identities = decoded.drafts.map((draft) => eventIdentity(integrationId, draft));
    const known = await settledByIdentity(integrationId, identities);
    return identities.flatMap((identity) => known.get(hex(identity))?.event ?? []);
  }

  async function byDeliveryId(
    integrationId: string,
    id: string,
    memories: ReadonlyMap<string, Remembered>,
  ): Promise<Facts> {
    const key = DELIVERY_ID.exec(id)?.[1];
    const memory = key === undefined ? undefined : memories.get(key);
    if (key === undefined || memory === undefined) return UNKNOWN;
    // A key tells nothing of whose it is: without its row in the inbox nothing is said.
    const row = await findDelivery(db, integrationId, memory.key, memory.seen_at);
    if (row === null) return UNKNOWN;
    if (row.status !== 'DONE') return unsettled(row, memory.duplicates);
    return settled(await eventsIn(integrationId, row), memory.duplicates, row.replays > 0, row.received_at);
  }

  return {
    async find(integrationId, { eventIds, deliveryIds }) {
      // What was acknowledged is known, also when nobody has moved it to the inbox yet.
      if ((db.arrivals?.oldest() ?? null) !== null) await db.arrivals?.move();
      const facts = await byEventIds(integrationId, eventIds);
      const keys = deliveryIds.flatMap((id) => DELIVERY_ID.exec(id)?.[1] ?? []);
      const remembered = await readRemembered(
        db,
        keys.map((key) => Buffer.from(key, 'hex')),
      );
      const memories = new Map(
        remembered.filter(({ kind }) => kind === 'delivery').map((memory) => [hex(memory.key), memory]),
      );
      const receipts: Receipt[] = eventIds.map((id) => ({ eventId: id, ...(facts.get(id) ?? UNKNOWN) }));
      for (const id of deliveryIds)
        receipts.push({ deliveryId: id, ...(await byDeliveryId(integrationId, id, memories)) });
      return receipts;
    },
  };
}
