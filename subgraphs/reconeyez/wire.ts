/**
 * What the control API sends. A device is five texts; only the GUID is indispensable. Deliveries have no published shape:
 * event-fields.ts finds things in them.
 *
 * @see Reconeyez "Reverse control API" (2024-02-27 and 2025-02-04), get_siren_list and get_device_list
 */
import { z } from 'zod';

/** A GUID has 16 hexadecimal characters in every sample; it is opaque all the same, in upper case everywhere. */
export const Guid = z
  .string()
  .trim()
  .min(1)
  .max(64)
  .transform((guid) => guid.toUpperCase());

const text = z.string().catch('');

export const WireDevice = z.object({ guid: Guid, name: text, area: text, description: text, type: text });
export type WireDevice = z.infer<typeof WireDevice>;

/** Members that the documentation names; others are told to the log once. */
export const WIRE_MEMBERS: ReadonlySet<string> = new Set(Object.keys(WireDevice.shape));

export const WireList = z.array(z.unknown());

/** An entry of a list that cannot be used. */
export interface RejectedEntry {
  readonly nativeId: string | null;
  readonly reason: string;
}

export interface WireDevices {
  /** Each GUID once. */
  readonly devices: readonly WireDevice[];
  readonly rejected: readonly RejectedEntry[];
  /** Members that the documentation does not name. */
  readonly unknownMembers: readonly string[];
}

/** Most members of an entry that are looked at for new names. */
const MAX_MEMBERS = 50;

export function parseDevices(list: readonly unknown[]): WireDevices {
  const devices = new Map<string, WireDevice>();
  const rejected: RejectedEntry[] = [];
  const unknownMembers = new Set<string>();
  for (const entry of list) {
    const parsed = WireDevice.safeParse(entry);
    if (!parsed.success) {
      rejected.push({ nativeId: null, reason: 'it has no GUID' });
      continue;
    }
    // The first one counts: a list that names a device twice has it once.
    if (!devices.has(parsed.data.guid)) devices.set(parsed.data.guid, parsed.data);
    for (const member of Object.keys(Object(entry)).slice(0, MAX_MEMBERS))
      if (!WIRE_MEMBERS.has(member) && unknownMembers.size < MAX_MEMBERS) unknownMembers.add(member);
  }
  return { devices: [...devices.values()], rejected, unknownMembers: [...unknownMembers] };
}
