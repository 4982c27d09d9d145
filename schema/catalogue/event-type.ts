import type { DeviceState, EventFamily, Severity, StatusReason } from '../words.ts';
import type { NativeData } from './native-event.ts';

/** One type of event of ours, as data: what clients may rely on, whichever platform told it. */
export interface EventType {
  /** Stable dotted name. `vendor.*` stands for all names below it. */
  readonly name: string;
  readonly family: EventFamily;
  /** Goes up when the meaning or a member of its native form changes in a way that a client can notice. */
  readonly version: number;
  /** How urgent it usually is. */
  readonly severity: Severity;
  /** How urgent it may be beside that: platforms tell finer kinds apart than we do. */
  readonly otherSeverities: readonly Severity[];
  /** What happened, in one sentence for people. */
  readonly description: string;
  /** Who makes it: a platform or device told us, or we found it ourselves. */
  readonly madeBy: 'PLATFORM' | 'CONVERGRAPH';
  /** What it usually says about the device's state; null when nothing. */
  readonly claim: { readonly state: DeviceState; readonly reason: StatusReason | null } | null;
  /** Members of `data` in its sample, beside those that every event of the family has. */
  readonly example: Partial<NativeData>;
  /** RFC 3339; null while it is in use. */
  readonly deprecatedAt: string | null;
}

type Rest = Partial<Omit<EventType, 'name' | 'family' | 'severity' | 'description'>>;

/** A row of the catalogue, with what most rows have in common filled in. */
export function eventType(
  name: string,
  family: EventFamily,
  severity: Severity,
  description: string,
  rest: Rest = {},
): EventType {
  return {
    name,
    family,
    version: 1,
    severity,
    otherSeverities: [],
    description,
    madeBy: 'PLATFORM',
    claim: null,
    example: {},
    deprecatedAt: null,
    ...rest,
  };
}
