// A delivery that we send to ourselves to show that a webhook works. It is signed and stored like any other, and says by
// its first member what it is: no vendor's decoder is asked for it.
import { z } from 'zod';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { findEventType } from '../../schema/catalogue/event-types.ts';

const MARK = '{"convergraph_test":';

const TestBody = z.object({
  convergraph_test: z.object({ id: z.string().min(1).max(100), type: z.string(), sent_at: z.iso.datetime() }),
});

export function encodeTestDelivery(id: string, type: string, at: number): Buffer {
  return Buffer.from(JSON.stringify({ convergraph_test: { id, type, sent_at: new Date(at).toISOString() } }));
}

/** Looked at byte by byte: every delivery is. */
function isMarked(body: Uint8Array): boolean {
  for (let at = 0; at < MARK.length; at++) if (body[at] !== MARK.charCodeAt(at)) return false;
  return true;
}

/** @returns the test's event, of no device; null when it is no test */
export function decodeTestDelivery(body: Uint8Array): EventDraft | null {
  if (!isMarked(body)) return null;
  const text = Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, 1_024)).toString('latin1');
  try {
    const { id, type, sent_at: sentAt } = TestBody.parse(JSON.parse(text)).convergraph_test;
    const known = findEventType(type);
    if (known === null) return null;
    return {
      vendorEventId: id,
      family: known.family,
      type: known.name,
      vendorCode: null,
      severity: 'INFO',
      occurredAt: new Date(sentAt),
      nativeOrgId: null,
      nativeSiteId: null,
      nativeDeviceId: null,
      claim: null,
      isLifeSign: false,
      summary: 'Test delivery: the webhook works',
      details: { detail: { test: true } },
      raw: null,
    };
  } catch {
    return null;
  }
}
