import type { Severity } from '../words.ts';
import { type EventType, eventType } from './event-type.ts';

function video(
  name: string,
  severity: Severity,
  description: string,
  rest: Parameters<typeof eventType>[4] = {},
): EventType {
  return eventType(`video.${name}`, 'VIDEO', severity, description, { example: { fault: name }, ...rest });
}

/** What a monitored value is at: critical, warning, or no longer measured. */
const LEVELS = { otherSeverities: ['CRITICAL', 'INFO'] } as const;

/** Video or recording is impaired, and what else cameras and recorders say. */
export const VIDEO_TYPES: readonly EventType[] = [
  video('recording_failure', 'WARNING', 'Nothing is recorded although it should be.'),
  video('stream_loss', 'WARNING', 'The picture is gone, or parts of it are lost on the way.'),
  video('storage_failure', 'WARNING', 'A disk or database of the recorder is failing.', {
    otherSeverities: ['CRITICAL'],
  }),
  video('storage_low', 'WARNING', 'The recorder is running out of storage.', LEVELS),
  video('storage', 'NOTICE', 'The camera reports on its own memory card.', { example: { fault: 'memory_card' } }),
  video('retention_short', 'WARNING', 'Recordings are kept for a shorter time than they should.', LEVELS),
  video('frame_rate', 'WARNING', 'Fewer pictures a second arrive than should.', LEVELS),
  video('obstructed', 'WARNING', 'The scene is covered, out of focus, or another one.'),
  video('restored', 'NOTICE', 'Video or storage is as it should be again.', {
    example: { fault: 'stream_loss', restoral: true },
  }),
  video('recording', 'INFO', 'The camera reports a recording.'),
  video('recording_started', 'INFO', 'A recording began.'),
  video('recording_stopped', 'INFO', 'A recording ended; no fault where recording follows motion.'),
  video('snapshot', 'INFO', 'A picture was taken.'),
  video('other', 'WARNING', 'A video fault whose kind no table knows; `vendorCode` has the word.'),
];
