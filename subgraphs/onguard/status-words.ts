/**
 * What the status numbers of OnGuard mean: bit flags per kind of device.
 *
 * @see the hardware status values of DataConduIT, which `GetHardwareStatus` of OpenAccess answers
 */
import type { DeviceState, StatusReason } from '../../schema/words.ts';

interface Bit {
  readonly bit: number;
  readonly word: string;
  /** Makes the device DEGRADED for this reason; null: the device works. */
  readonly fault: StatusReason | null;
  /** Is told as trouble: what is a fault, and what goes on at a door whose reader works. */
  readonly isTrouble: boolean;
}

const ONLINE_BIT = 0x1;

function bit(value: number, word: string, fault: StatusReason | null = 'OTHER', isTrouble = fault !== null): Bit {
  return { bit: value, word, fault, isTrouble };
}

const SHARED: readonly Bit[] = [
  bit(0x2, 'options mismatch'),
  bit(0x4, 'cabinet tamper', 'TAMPER'),
  bit(0x8, 'power fail', 'POWER'),
];

/** Panels and I/O boards. */
const PANEL_BITS: readonly Bit[] = [...SHARED, bit(0x10, 'downloading firmware', null)];

const READER_BITS: readonly Bit[] = [
  ...SHARED,
  bit(0x10, 'reader tamper', 'TAMPER'),
  bit(0x20, 'door forced open', null, true),
  bit(0x40, 'door held open', null, true),
  bit(0x80, 'aux input 1 active', null),
  bit(0x100, 'aux input 2 active', null),
  bit(0x400, 'aux input 3 active', null),
  bit(0x800, 'biometric verify', null),
  bit(0x1000, 'door contact ground fault'),
  bit(0x2000, 'door contact short'),
  bit(0x4000, 'door contact open'),
  bit(0x8000, 'door contact fault'),
  bit(0x10000, 'exit button ground fault'),
  bit(0x20000, 'exit button short'),
  bit(0x40000, 'exit button open'),
  bit(0x80000, 'exit button fault'),
  bit(0x100000, 'first card unlock', null),
  bit(0x200000, 'extended held', null),
  bit(0x400000, 'cipher mode', null),
  bit(0x800000, 'low battery', 'POWER'),
  bit(0x1000000, 'motor stalled'),
  bit(0x2000000, 'read head offline', 'NETWORK'),
  bit(0x4000000, 'terminal offline', 'NETWORK'),
  bit(0x8000000, 'door contact offline', 'NETWORK'),
];

/** How a device is, by what OnGuard says of it. */
export interface HardwareStatus {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  /** The number with its meaning, or the word that is none of the numbers. */
  readonly vendorState: string | null;
  readonly troubles: readonly string[];
}

export const DISABLED: HardwareStatus = {
  state: 'UNKNOWN',
  reason: null,
  vendorState: 'IsOnline: false',
  troubles: [],
};

/** What hangs on a panel that does not answer: nobody knows how it is. */
export const PARENT_DOWN: HardwareStatus = {
  state: 'UNKNOWN',
  reason: 'PARENT_DOWN',
  vendorState: null,
  troubles: [],
};

/** The platform has no word on it. */
export const UNTOLD_STATUS: HardwareStatus = { state: 'UNKNOWN', reason: null, vendorState: null, troubles: [] };

/** Longest word that is kept of an answer that is no number. */
const MAX_WORD = 100;

/** @param value the `Status` of an answer; text of digits counts as a number, anything else is kept as the platform's word */
export function readStatus(kind: 'panel' | 'reader', value: unknown): HardwareStatus {
  const flags = typeof value === 'string' && /^\d{1,10}$/.test(value.trim()) ? Number(value) : value;
  if (typeof flags !== 'number' || !Number.isSafeInteger(flags) || flags < 0) {
    const word = typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, MAX_WORD) : null;
    return { ...UNTOLD_STATUS, vendorState: word };
  }
  const isOnline = (flags & ONLINE_BIT) !== 0;
  const set = (kind === 'panel' ? PANEL_BITS : READER_BITS).filter((each) => (flags & each.bit) !== 0);
  const faults = set.filter(({ fault }) => fault !== null);
  const words = [isOnline ? 'online' : 'offline', ...set.map(({ word }) => word)];
  return {
    state: isOnline ? (faults.length > 0 ? 'DEGRADED' : 'ONLINE') : 'OFFLINE',
    reason: isOnline ? (faults[0]?.fault ?? 'REPORTED') : 'NETWORK',
    vendorState: `${flags} (${words.join(', ')})`,
    troubles: set.filter(({ isTrouble }) => isTrouble).map(({ word }) => word),
  };
}

/** What an input, an output or a camera is, by the device it reports through: it has no word of its own on it. */
export function inheritedStatus(parent: HardwareStatus): HardwareStatus {
  if (parent.state === 'ONLINE' || parent.state === 'DEGRADED')
    return { state: 'ONLINE', reason: 'REPORTED', vendorState: parent.vendorState, troubles: [] };
  if (parent.state === 'OFFLINE') return { ...parent, reason: 'PARENT_DOWN', troubles: [] };
  return { ...parent, troubles: [] };
}
