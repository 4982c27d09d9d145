// Pure: what the platform's communication states say about a device. First match wins, as the platform's own clients do it.
import type { StatusClaim } from '../../adapter-kit/model.ts';
import { communicationMeaning } from './event-types.ts';

/** The last communication state of one source. */
export interface HeldState {
  /** The platform's word: `Started`, `Error`, `Stopped`, or one that a newer release brings. */
  readonly word: string;
  /** When it changed, by the platform's clock: often months ago. It is not when the device was last seen. */
  readonly at: Date;
}

export interface StatusInputs {
  readonly isEnabled: boolean;
  /** When the configuration of what is disabled was last changed; null when the platform does not tell. */
  readonly configuredAt: Date | null;
  readonly own: HeldState | null;
  /** Of the hardware whose channel it is; null for what is no channel, or has none. */
  readonly hardware: HeldState | null;
  /** Of the recording server above it; null for servers, or has none. */
  readonly recordingServer: HeldState | null;
}

function later(at: Date, other: HeldState | null): Date {
  return other !== null && other.at > at ? other.at : at;
}

function claimOf({ word, at }: HeldState, recordingServer: HeldState | null): StatusClaim {
  const { state, reason } = communicationMeaning(word);
  // The recording server's return is what makes an older state of its device true again.
  return { state, reason, vendorState: word, observedAt: later(at, recordingServer) };
}

/** Whether a recording server's state takes away our knowledge of what is behind it. */
export function isDown(recordingServer: HeldState | null): recordingServer is HeldState {
  return recordingServer !== null && communicationMeaning(recordingServer.word).state === 'OFFLINE';
}

/** @returns null when the platform says nothing about it: one in twenty enabled cameras has no state */
export function deriveStatus(inputs: StatusInputs): StatusClaim | null {
  const { own, hardware, recordingServer } = inputs;
  // Switched off by an operator. OFFLINE would send a technician to a healthy camera.
  if (!inputs.isEnabled)
    return { state: 'UNKNOWN', reason: 'OTHER', vendorState: 'Disabled', observedAt: inputs.configuredAt };
  if (isDown(recordingServer)) {
    const observedAt = own === null ? recordingServer.at : later(own.at, recordingServer);
    return { state: 'UNKNOWN', reason: 'PARENT_DOWN', vendorState: own?.word ?? null, observedAt };
  }
  if (own !== null) return claimOf(own, recordingServer);
  return hardware === null ? null : claimOf(hardware, recordingServer);
}
