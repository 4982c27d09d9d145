import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { DecodeContext, EventDraft, InboundMessage, InventoryDelivery } from '../../adapter-kit/model.ts';
import { normalizeDevice, normalizeEvent } from './normalize.ts';
import { OnPremSettings } from './settings.ts';
import { isHeartbeat, parseBody, readEvents, readInventory } from './wire.ts';

const DEVICES = Buffer.from('"devices"');

/**
 * A pushed list, whole or in parts. A device that says nothing of its customer is set aside, never guessed.
 *
 * @throws DecodeError `PARSE` for what is not JSON within bounds, `SCHEMA` for a `list` that cannot be read
 */
export function decodeInventory(message: InboundMessage, context: DecodeContext): InventoryDelivery | null {
  // Events are many and small: they need not be parsed twice to see that they are no list.
  if (!Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength).includes(DEVICES))
    return null;
  const settings = OnPremSettings.parse(context.settings);
  const inventory = readInventory(parseBody(message.body), settings);
  if (inventory === null) return null;
  const rejected = [...inventory.rejected];
  const devices = inventory.devices.flatMap((device) => {
    const draft = normalizeDevice(device, settings);
    if (draft === null) rejected.push({ nativeId: device.deviceId, reason: 'it names no customer_id' });
    return draft ?? [];
  });
  const whole = settings.listsAreComplete
    ? { id: `unmarked at ${message.receivedAt.toISOString()}`, part: 1, parts: 1 }
    : null;
  return { devices, rejected, list: inventory.list ?? whole };
}

/**
 * Health events, one or a list of them; none in a heartbeat. A delivery is understood as a whole or not at all.
 *
 * @throws DecodeError `PARSE`, or `SCHEMA` for an event without device, status or instant
 */
export function decode(message: InboundMessage, context: DecodeContext): readonly EventDraft[] {
  const settings = OnPremSettings.parse(context.settings);
  const body = parseBody(message.body);
  // That it arrived is all it says.
  if (isHeartbeat(body)) return [];
  const events = readEvents(body, settings);
  return events.map((event, index) => {
    const draft = normalizeEvent(event, settings);
    if (draft !== null) return draft;
    const where = events.length === 1 ? '' : `event ${index + 1} of ${events.length}: `;
    throw new DecodeError('SCHEMA', `${where}it names no device or no status`);
  });
}
