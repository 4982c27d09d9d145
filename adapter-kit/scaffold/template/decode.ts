import { DecodeError } from '../../../adapter-kit/adapter-error.ts';
import { JsonGuardError, parseJson } from '../../../adapter-kit/json-guard.ts';
import type { EventDraft, InboundMessage } from '../../../adapter-kit/model.ts';
import { SEVERITY } from './event-mappings.ts';
import { normalizeState } from './normalize.ts';
import { AcmeVmsStateChanged } from './wire.ts';

/** One webhook of Acme VMS, one event. Pure. @throws DecodeError */
export function decode(message: InboundMessage): readonly EventDraft[] {
  const raw = parse(message.body);
  const parsed = AcmeVmsStateChanged.safeParse(raw);
  if (!parsed.success) {
    const place = parsed.error.issues[0]?.path.map(String).join('.') ?? '';
    throw new DecodeError('SCHEMA', `not a state change as Acme VMS sends it, at "${place.slice(0, 80)}"`);
  }
  const { id, at, device } = parsed.data;
  const state = normalizeState(device.state);
  const occurredAt = new Date(at);
  return [
    {
      vendorEventId: id,
      family: 'HEALTH',
      type: `health.${state.toLowerCase()}`,
      vendorCode: device.state,
      severity: SEVERITY[state],
      occurredAt,
      nativeOrgId: device.account,
      nativeSiteId: device.site,
      nativeDeviceId: device.id,
      claim: { state, reason: 'REPORTED', vendorState: device.state, observedAt: occurredAt },
      isLifeSign: state === 'ONLINE' || state === 'DEGRADED',
      summary: `${device.label} is ${state.toLowerCase()}`,
      details: {},
      raw,
    },
  ];
}

function parse(body: Uint8Array): unknown {
  try {
    return parseJson(body);
  } catch (error) {
    if (error instanceof JsonGuardError) throw new DecodeError('PARSE', error.message, { cause: error });
    throw error;
  }
}
