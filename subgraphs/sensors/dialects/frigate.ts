// Frigate: detections with label, score and box, tracked from their first frame to their last. Pure.
import type { KnownDevice, Reading } from '../reading.ts';
import { FrigateEvent } from '../wire.ts';

/** One lifecycle is two events: seen (once it is sure enough, and was not before), and gone. @throws ZodError */
export function readDetection(device: KnownDevice, minScore: number, payload: unknown): readonly Reading[] {
  const { type, before, after } = FrigateEvent.parse(payload);
  const isSure = (object: typeof after | null | undefined): boolean =>
    object !== null &&
    object !== undefined &&
    object.false_positive !== true &&
    (object.top_score ?? object.score ?? 0) >= minScore;
  const isOver = type === 'end';
  if (!isSure(after) || (!isOver && type === 'update' && isSure(before))) return [];
  const score = after.top_score ?? after.score ?? null;
  const at = isOver ? (after.end_time ?? after.frame_time ?? after.start_time) : after.start_time;
  return [
    {
      nativeId: device.nativeId,
      point: after.camera,
      signal: 'detection',
      value: isOver ? 'ended' : 'detected',
      word: after.label,
      occurredAt: new Date(at * 1_000),
      vendorEventId: `${after.id}/${isOver ? 'end' : 'new'}`,
      actor: { kind: after.label, confidence: score },
      metadata: { ...after, label: after.label, score, box: after.box ?? null },
    },
  ];
}
