import type { EventDraft } from '../../adapter-kit/model.ts';

type Told = Pick<EventDraft, 'type' | 'severity' | 'summary'>;
type Known = Pick<EventDraft, 'vendorEventId' | 'vendorCode' | 'nativeOrgId' | 'nativeSiteId' | 'nativeDeviceId'>;

/** What we ourselves have to say. Absent members are null: an event of the integration as a whole, told anew each time. */
export interface SystemTelling extends Told, Partial<Known> {
  /** When it happened, milliseconds since the epoch. */
  readonly at: number;
  /** Attributes of this type of event, as JSON. */
  readonly detail: unknown;
}

/** An event of the family SYSTEM: it claims nothing of a device's state, and is no sign of its life. */
export function systemDraft({ type, severity, summary, at, detail, ...known }: SystemTelling): EventDraft {
  return {
    vendorEventId: known.vendorEventId ?? null,
    family: 'SYSTEM',
    type,
    vendorCode: known.vendorCode ?? null,
    severity,
    occurredAt: new Date(at),
    nativeOrgId: known.nativeOrgId ?? null,
    nativeSiteId: known.nativeSiteId ?? null,
    nativeDeviceId: known.nativeDeviceId ?? null,
    claim: null,
    isLifeSign: false,
    summary,
    details: { detail },
    raw: null,
  };
}
