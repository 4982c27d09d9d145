import type { DeviceState, StatusReason } from '../../schema/words.ts';
import type { Database, Tx } from '../../storage/database.ts';
import type { EventRow, IntegrationRow } from '../../storage/rows.ts';

/** A device's state changed, so that people see it. */
export interface StatusTransition {
  readonly deviceId: string;
  readonly before: DeviceState;
  readonly after: DeviceState;
  readonly reason: StatusReason | null;
  /** Since when, by the source's clock: milliseconds since the epoch. */
  readonly at: number;
  /**
   * The event that says so, about to be logged. The hook may set `suppressed`, `incident_id` and `in_maintenance`, and
   * nothing else.
   */
  readonly row: Omit<EventRow, 'seq'>;
}

/**
 * What else follows from changes of state. It runs in the transaction that writes them, after the device rows and before
 * the numbers of the log are taken: it may write devices' `suppressed_by` and `incident_id`, and throwing undoes all.
 *
 * @param transitions of one integration, in the order of the log; never empty; a device may occur more than once
 */
export type TransitionHook = (
  db: Database,
  tx: Tx,
  integration: IntegrationRow,
  transitions: readonly StatusTransition[],
) => Promise<void>;
