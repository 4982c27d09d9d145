import type { EventFormat } from '../words.ts';
import { cloudEvents } from './cloud-events.ts';
import type { EventCodec } from './codec.ts';
import { native } from './native.ts';
import { standardWebhook } from './standard-webhook.ts';

/** Every format that events can be had in. */
export const EVENT_CODECS: Readonly<Record<EventFormat, EventCodec>> = {
  NATIVE: native,
  CLOUDEVENTS: cloudEvents,
  STANDARD_WEBHOOK: standardWebhook,
};
