/**
 * CloudEvents in structured mode: attributes on top, and in `data` what has no attribute.
 *
 * @see CloudEvents 1.0.2, "Required Attributes", "Optional Attributes", "Type System"; JSON Event Format 1.0.2, section 3;
 *   extension "Recorded Time"
 */
import { z } from 'zod';
import { NativeEvent } from '../catalogue/native-event.ts';
import { type EventCodec, FormatError } from './codec.ts';
import { parseAs, parseJsonText } from './native.ts';

/** Types of many producers meet in one place: ours begin with our name. */
const TYPE_PREFIX = 'convergraph.';
/** With `id` the identity of an event: which customer's integration told it. */
const SOURCE = /^\/orgs\/([^/]+)\/integrations\/([^/]+)$/;

/** What has an attribute of its own; `source` is both ids. */
const ATTRIBUTES = {
  id: true,
  type: true,
  occurredAt: true,
  receivedAt: true,
  orgId: true,
  integrationId: true,
} as const;
const Data = NativeEvent.omit(ATTRIBUTES);

const CloudEvent = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string(),
  type: z.string().startsWith(TYPE_PREFIX),
  time: NativeEvent.shape.occurredAt,
  recordedtime: NativeEvent.shape.receivedAt,
  data: Data,
});

/** Ids are ours and need no escape; one that did would be another source. */
function sourceOf({ orgId, integrationId }: NativeEvent): string {
  return `/orgs/${encodeURIComponent(orgId)}/integrations/${encodeURIComponent(integrationId)}`;
}

/** @throws FormatError */
function unescaped(segment: string | undefined): string {
  try {
    return decodeURIComponent(segment ?? '');
  } catch (error) {
    throw new FormatError('source is not as the format has it', { cause: error });
  }
}

export const cloudEvents: EventCodec = {
  format: 'CLOUDEVENTS',
  contentType: 'application/cloudevents+json',

  encode(event) {
    const { id, type, occurredAt, receivedAt, orgId: _org, integrationId: _integration, ...data } = event;
    const subject = event.deviceId ?? event.siteId;
    return JSON.stringify({
      specversion: '1.0',
      id,
      source: sourceOf(event),
      type: `${TYPE_PREFIX}${type}`,
      ...(subject === null ? {} : { subject }),
      time: occurredAt,
      recordedtime: receivedAt,
      datacontenttype: 'application/json',
      data,
    });
  },

  decode(text) {
    const { id, source, type, time, recordedtime, data } = parseAs(CloudEvent, parseJsonText(text));
    const [, org, integration] = SOURCE.exec(source) ?? [];
    const native = {
      ...data,
      id,
      type: type.slice(TYPE_PREFIX.length),
      occurredAt: time,
      receivedAt: recordedtime,
      orgId: unescaped(org),
      integrationId: unescaped(integration),
    };
    return parseAs(NativeEvent, native);
  },
};
