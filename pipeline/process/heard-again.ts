import type { Database, Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { knownReason, knownState } from '../status/device-row.ts';
import { isTakenForSilent, withdrawSilences } from '../status/withdrawn-silence.ts';
import type { SilenceLimits } from './device-states.ts';
import { claimOf } from './event-rows.ts';
import type { EventItem, Fresh } from './event-writer.ts';
import type { KnownDevice } from './resolve.ts';

/** Whatever a device says that was silent, it is silent no more: a life sign without a claim is one, then. */
export function heardAgain(item: EventItem, device: KnownDevice | null): EventItem {
  const { draft } = item;
  if (draft.claim !== null || !draft.isLifeSign) return item;
  if (device?.state !== 'UNKNOWN' || device.state_reason !== 'SILENCE') return item;
  const claim = { state: 'ONLINE', reason: null, vendorState: null, observedAt: null } as const;
  return { ...item, draft: { ...draft, claim } };
}

export interface HeardAgain {
  readonly fresh: ReadonlyMap<EventItem, Fresh>;
  /** Devices of which people believe that they are silent, and which never were. */
  readonly lifted: ReadonlySet<string>;
}

/**
 * Takes back that devices are silent where what is new shows that they were not when they were taken for it. What is new
 * is then news about them as they were before.
 */
export async function takeBackSilences(
  db: Database,
  tx: Tx,
  integration: IntegrationRow,
  silence: SilenceLimits | undefined,
  fresh: ReadonlyMap<EventItem, Fresh>,
): Promise<HeardAgain> {
  const said = [...fresh].flatMap(([{ draft, receivedAt }, { device, instants }]) => {
    if (device === null || !isTakenForSilent(device)) return [];
    const isDown = draft.claim?.state === 'OFFLINE';
    const at = draft.claim === null ? instants.at : instants.observedAt;
    return [{ device, at, receivedAt, isLifeSign: draft.isLifeSign, isDown }];
  });
  if (silence === undefined || said.length === 0) return { fresh, lifted: new Set() };
  const restored = await withdrawSilences(tx, db, integration, silence, said);
  const told = new Set<string>();
  const entries = [...fresh].map(([item, each]): readonly [EventItem, Fresh] => {
    const device = each.device === null ? undefined : restored.get(each.device.id);
    if (device === undefined) return [item, each];
    // One of them tells that the device is as it was before; the others say what they say.
    const heard = told.has(device.id) ? item : asBefore(item, device);
    if (heard.draft.claim !== null) told.add(device.id);
    return [item, { ...each, item: heard, device, claim: claimOf(heard, each.instants) }];
  });
  return { fresh: new Map(entries), lifted: new Set(restored.keys()) };
}

function asBefore(item: EventItem, device: KnownDevice): EventItem {
  const { draft } = item;
  if (draft.claim !== null || !draft.isLifeSign) return item;
  const [state, reason] = [knownState(device.state), knownReason(device.state_reason)];
  return { ...item, draft: { ...draft, claim: { state, reason, vendorState: null, observedAt: null } } };
}
