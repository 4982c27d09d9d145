import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { EventType } from '../../schema/catalogue/event-type.ts';
import { exampleData, findEventType } from '../../schema/catalogue/event-types.ts';
import {
  type NativeData,
  NativeData as Data,
  nativeDataOf,
  type NativeEvent,
} from '../../schema/catalogue/native-event.ts';
import { hasScope, type Principal } from '../../schema/principal.ts';
import type { UserError, UserErrorCode } from '../../schema/words.ts';
import { visibleAtSite } from '../../storage/access-conditions.ts';
import type { Database } from '../../storage/database.ts';
import { isOneOf } from '../../storage/sql-conditions.ts';
import { InboxFullError, type InboxWriter } from '../inbox/inbox-writer.ts';
import { freshOf, planDeliveries } from './plan.ts';
import { encodeSimulated } from './simulated-delivery.ts';

export interface SimulateInput {
  readonly deviceIds: readonly string[];
  readonly type: string;
  readonly count?: number | null | undefined;
  readonly everyMs?: number | null | undefined;
  readonly duplicateRate?: number | null | undefined;
  readonly outOfOrder?: boolean | null | undefined;
  readonly data?: unknown;
}

export interface SimulatePayload {
  readonly accepted: number;
  readonly deduplicated: number;
  readonly userErrors: UserError[];
}

/** Events of sandbox orgs, made up on request. */
export interface Simulation {
  /**
   * Needs `control:write`. Resolves when every delivery is durable; they are processed after that, as any others. Nothing is
   * delivered when anything about the input is refused.
   *
   * @param signal ends it early; what was delivered until then is counted and stays
   */
  run(principal: Principal, input: SimulateInput, signal: AbortSignal): Promise<SimulatePayload>;
}

/** For processes that take no events in. */
export const NO_SIMULATION: Simulation = {
  run: () => Promise.resolve(refusal('FORBIDDEN_IN_PRODUCTION', 'No events are made up here.', null)),
};

export interface SimulationDeps {
  readonly db: Database;
  readonly inbox: Pick<InboxWriter, 'append'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly random?: () => number;
}

/** Enough for every device of a large site, and for a storm. */
const MAX_DEVICES = 200;
const MAX_COUNT = 1_000;
const MAX_TOTAL = 100_000;
/** Repetitions are recognised for seven days: a simulated history is no longer. */
const MAX_SPAN_MS = 7 * 86_400_000;
/** Deliveries under way at once: two flushes of the inbox. */
const WINDOW = 1_000;
/** An operation ends after ten seconds; who asked is to hear how far it came. */
const MAX_RUN_MS = 8_000;

function refusal(
  code: UserErrorCode,
  message: string,
  path: string[] | null,
  hint: string | null = null,
): SimulatePayload {
  return { accepted: 0, deduplicated: 0, userErrors: [{ code, message, path, hint }] };
}

interface Order {
  readonly type: EventType;
  readonly count: number;
  readonly everyMs: number;
  readonly duplicateRate: number;
  readonly data: NativeData;
}

/** What is asked for, when it can be done; else why not. */
function parse(input: SimulateInput): Order | SimulatePayload {
  const { deviceIds, count: asked, everyMs: spacing, duplicateRate: rate } = input;
  const [count, everyMs, duplicateRate] = [asked ?? 1, spacing ?? 0, rate ?? 0];
  const devices = new Set(deviceIds).size;
  const bad = (path: string, message: string): SimulatePayload => refusal('INVALID', message, [path]);
  if (devices < 1 || devices > MAX_DEVICES) return bad('deviceIds', `Name 1 to ${MAX_DEVICES} devices.`);
  if (count < 1 || count > MAX_COUNT) return bad('count', `count is 1 to ${MAX_COUNT}.`);
  if (devices * count > MAX_TOTAL) return bad('count', `At most ${MAX_TOTAL} events at once, over all devices.`);
  if (everyMs < 0 || everyMs * count > MAX_SPAN_MS) return bad('everyMs', 'All events lie within seven days.');
  if (!(duplicateRate >= 0 && duplicateRate <= 1)) return bad('duplicateRate', 'duplicateRate is 0 to 1.');
  const type = findEventType(input.type);
  if (type === null || type.name.endsWith('.*'))
    return refusal('INVALID', 'There is no such type of event.', ['type'], 'eventTypes lists them.');
  if (type.madeBy === 'CONVERGRAPH') {
    const hint = 'Make happen what it tells of.';
    return refusal('NOT_SUPPORTED', `${type.name} tells what we found ourselves.`, ['type'], hint);
  }
  const parsed = parseData(type, input.data);
  return 'issues' in parsed
    ? bad('data', `data.${parsed.issues[0]?.path.map(String).join('.') ?? ''} is not as the type's schema has it.`)
    : { type, count, everyMs, duplicateRate, data: parsed };
}

function parseData(type: EventType, data: unknown): NativeData | z.ZodError {
  const own = Data.safeParse(data ?? {});
  if (!own.success) return own.error;
  const all = nativeDataOf(type.family).safeParse({ ...exampleData(type), ...own.data });
  return all.success ? { ...exampleData(type), ...own.data } : all.error;
}

interface Target {
  readonly id: string;
  readonly name: string;
  readonly native_id: string;
  readonly site_id: string | null;
  readonly org_id: string;
  readonly integration_id: string;
  readonly is_sandbox: number;
}

async function findTargets(db: Database, principal: Principal, ids: readonly string[]): Promise<readonly Target[]> {
  const rows = await db.read
    .selectFrom('devices')
    .innerJoin('orgs', 'orgs.id', 'devices.org_id')
    .select([
      'devices.id',
      'devices.name',
      'devices.native_id',
      'devices.site_id',
      'devices.org_id',
      'devices.integration_id',
      'orgs.is_sandbox',
    ])
    .where(visibleAtSite(principal.access, 'devices'))
    .where(isOneOf('devices.id', ids))
    .where('devices.removed_at', 'is', null)
    .execute();
  const found = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => found.get(id) ?? []);
}

function eventOf({ type, data }: Order, device: Target, id: string, at: number, receivedAt: number): NativeEvent {
  return {
    id,
    type: type.name,
    version: type.version,
    family: type.family,
    severity: type.severity,
    occurredAt: new Date(at).toISOString(),
    receivedAt: new Date(receivedAt).toISOString(),
    clockSkewMs: null,
    late: false,
    orgId: device.org_id,
    siteId: device.site_id,
    deviceId: device.id,
    integrationId: device.integration_id,
    vendorEventId: null,
    vendorCode: null,
    origin: 'SANDBOX',
    summary: `${device.name}: ${type.description.replace(/\.$/, '')} (simulated)`,
    status: type.claim === null ? null : { ...type.claim, previousState: null },
    media: [],
    data,
  };
}

export function createSimulation({ db, inbox, now, random = Math.random }: SimulationDeps): Simulation {
  async function deliver(order: Order, devices: readonly Target[], isOutOfOrder: boolean, signal: AbortSignal) {
    const startedAt = now();
    const run = randomUUID();
    const { count, everyMs, duplicateRate } = order;
    const fresh = freshOf(order);
    const plan = planDeliveries({ devices: devices.length, count, duplicateRate, isOutOfOrder, random });
    let accepted = 0;
    let deduplicated = 0;
    let refused: unknown = null;
    for (let from = 0; from < plan.length && refused === null; from += WINDOW) {
      if (signal.aborted || now() - startedAt > MAX_RUN_MS) break;
      const window = plan.slice(from, from + WINDOW);
      const receipts = await Promise.allSettled(
        window.map(({ device: index, event }) => {
          const device = devices[index];
          if (device === undefined) throw new RangeError('a delivery was planned for no device');
          // The last one happens now: what lies ahead would be taken back to its arrival.
          const at = startedAt - (fresh - 1 - event) * everyMs;
          const delivery = encodeSimulated(
            eventOf(order, device, `${run}-${index}-${event}`, at, startedAt),
            device.native_id,
          );
          const { org_id: orgId, integration_id: integrationId } = device;
          return inbox.append({ orgId, integrationId, source: 'SANDBOX', receivedAt: now(), ...delivery });
        }),
      );
      for (const receipt of receipts) {
        if (receipt.status === 'rejected') refused ??= receipt.reason;
        else if (receipt.value.isDuplicate) deduplicated += 1;
        else accepted += 1;
      }
    }
    if (refused instanceof Error && !(refused instanceof InboxFullError)) throw refused;
    const isWhole = accepted + deduplicated === plan.length;
    return { accepted, deduplicated, left: isWhole ? 0 : plan.length - accepted - deduplicated };
  }

  return {
    async run(principal, input, signal) {
      if (!hasScope(principal, 'control:write'))
        return refusal('FORBIDDEN', 'This needs the scope control:write.', null);
      const order = parse(input);
      if ('userErrors' in order) return order;
      const ids = [...new Set(input.deviceIds)];
      const devices = await findTargets(db, principal, ids);
      if (devices.length < ids.length) {
        const known = new Set(devices.map(({ id }) => id));
        const missing = ids.filter((id) => !known.has(id)).slice(0, 3);
        return refusal('NOT_FOUND', `There is no such device: ${missing.join(', ')}`, ['deviceIds']);
      }
      if (devices.some(({ is_sandbox }) => is_sandbox !== 1)) {
        const hint = 'npm run sandbox starts one.';
        return refusal('FORBIDDEN_IN_PRODUCTION', 'Events are made up in a sandbox only.', ['deviceIds'], hint);
      }
      const homeless = devices.find(({ site_id }) => site_id === null);
      if (homeless !== undefined)
        return refusal('INVALID', `${homeless.name} is at no site of ours: bind its site first.`, ['deviceIds']);
      const { left, ...counts } = await deliver(order, devices, input.outOfOrder ?? false, signal);
      const error: UserError = {
        code: 'RATE_LIMITED',
        message: `The inbox took no more in time: ${left} deliveries were not made.`,
        path: null,
        hint: 'Ask for the rest in another call.',
      };
      return { ...counts, userErrors: left === 0 ? [] : [error] };
    },
  };
}
