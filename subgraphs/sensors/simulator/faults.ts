import { z } from 'zod';

/** Switches of misbehaviour; what a request does not name is as it should be, so that `{}` heals everything. */
export const Faults = z.strictObject({
  /** Presence as bare text, as older bridges told it. */
  legacyPresence: z.boolean().default(false),
  /** Battery as text, `"91.00"`. */
  textBattery: z.boolean().default(false),
  /** Every message of QoS 1 is sent a second time, marked as a repeat. */
  repeat: z.boolean().default(false),
  /** The broker lets nobody listen to filters that begin like this. */
  refuseFilter: z.string().min(1).nullable().default(null),
  /** Every Modbus unit answers with this exception. */
  modbusException: z.int().min(1).max(11).nullable().default(null),
  /** Exceptions of that kind before answers are good again; null: for ever. */
  modbusTimes: z.int().min(1).nullable().default(null),
  /** The Modbus gateway takes questions and answers none. */
  modbusSilent: z.boolean().default(false),
  /** Times without `Z`. */
  onvifWithoutZ: z.boolean().default(false),
  /** Places for subscriptions. */
  maxPullPoints: z.int().min(0).default(10),
  /** Data names metrics by alias only, as edges do after their birth. */
  aliasOnly: z.boolean().default(true),
  /** Data leaves a number of the sequence out. */
  sequenceGap: z.boolean().default(false),
});
export type Faults = z.infer<typeof Faults>;

export interface FaultBoard {
  current: Faults;
}

export function createFaultBoard(): FaultBoard {
  return { current: Faults.parse({}) };
}
