/**
 * The payload of a Standard Webhook: type, timestamp, and everything else in `data`. Its `webhook-id` is the event's id.
 *
 * @see Standard Webhooks specification, "Webhook payload structure"
 */
import { z } from 'zod';
import { NativeEvent } from '../catalogue/native-event.ts';
import type { EventCodec } from './codec.ts';
import { parseAs, parseJsonText } from './native.ts';

const Payload = z.object({
  type: NativeEvent.shape.type,
  timestamp: NativeEvent.shape.occurredAt,
  data: NativeEvent.omit({ type: true, occurredAt: true }),
});

export const standardWebhook: EventCodec = {
  format: 'STANDARD_WEBHOOK',
  contentType: 'application/json',
  encode({ type, occurredAt, ...data }) {
    return JSON.stringify({ type, timestamp: occurredAt, data });
  },
  decode(text) {
    const { type, timestamp, data } = parseAs(Payload, parseJsonText(text));
    return parseAs(NativeEvent, { ...data, type, occurredAt: timestamp });
  },
};
