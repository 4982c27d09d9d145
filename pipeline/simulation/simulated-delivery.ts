/**
 * Events that are made up: one delivery each, in our own JSON, through the same inbox as everything else. What the vendor
 * calls the device travels beside it, because only native ids lead to devices.
 */
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { EventDraft, InboundMessage } from '../../adapter-kit/model.ts';
import type { NativeEvent } from '../../schema/catalogue/native-event.ts';
import { FormatError } from '../../schema/formats/codec.ts';
import { native } from '../../schema/formats/native.ts';

const DEVICE = 'x-simulated-device';

export interface SimulatedDelivery {
  /** JSON, as the inbox keeps headers. */
  readonly headers: string;
  readonly body: Uint8Array;
}

/** @param nativeDeviceId the vendor's id of the device that it happens at */
export function encodeSimulated(event: NativeEvent, nativeDeviceId: string): SimulatedDelivery {
  return { headers: JSON.stringify({ [DEVICE]: nativeDeviceId }), body: Buffer.from(native.encode(event)) };
}

/** @throws DecodeError */
export function decodeSimulated({ body, headers }: InboundMessage): readonly EventDraft[] {
  let event: NativeEvent;
  try {
    event = native.decode(Buffer.from(body).toString());
  } catch (error) {
    if (error instanceof FormatError) throw new DecodeError('SCHEMA', error.message, { cause: error });
    throw error;
  }
  const { status } = event;
  return [
    {
      vendorEventId: event.id,
      family: event.family,
      type: event.type,
      vendorCode: event.vendorCode,
      severity: event.severity,
      occurredAt: new Date(event.occurredAt),
      nativeOrgId: null,
      nativeSiteId: null,
      nativeDeviceId: headers[DEVICE] ?? null,
      claim:
        status === null
          ? null
          : { state: status.state, reason: status.reason, vendorState: null, observedAt: new Date(event.occurredAt) },
      isLifeSign: status === null || status.state === 'ONLINE' || status.state === 'DEGRADED',
      summary: event.summary,
      details: event.data,
      raw: event,
    },
  ];
}
