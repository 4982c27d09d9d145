import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { HttpClientFactory } from '../../adapter-kit/http/http-client.ts';
import { openAddress } from '../../adapter-kit/media.ts';
import type { MediaContent, MediaRef } from '../../adapter-kit/model.ts';
import type { VxgClient } from './client.ts';
import { AFTER_MS, BEFORE_MS } from './decode.ts';
import { parseTime } from './time.ts';
import type { WireRecording } from './wire.ts';

/** The one that shows the instant itself, else the first after it. */
function showing(recordings: readonly WireRecording[], at: Date): WireRecording | undefined {
  return (
    recordings.find(({ start, end }) => {
      const [from, until] = [parseTime(start), parseTime(end)];
      return from !== null && until !== null && from <= at && at <= until;
    }) ?? recordings[0]
  );
}

/**
 * The recording of an event: the service is asked for a link, which is signed, short-lived and often leads to another host.
 * That host gets no key of ours.
 *
 * @throws AdapterError NOT_FOUND when nothing was recorded then
 */
export async function openRecording(
  client: Pick<VxgClient, 'recordings'>,
  http: HttpClientFactory,
  { nativeDeviceId, occurredAt }: Pick<MediaRef, 'nativeDeviceId' | 'occurredAt'>,
  signal: AbortSignal,
): Promise<MediaContent> {
  if (nativeDeviceId === null) throw new AdapterError('NOT_FOUND', 'the event is of no camera');
  const [from, until] = [new Date(occurredAt.getTime() - BEFORE_MS), new Date(occurredAt.getTime() + AFTER_MS)];
  const recording = showing(await client.recordings(nativeDeviceId, from, until, signal), occurredAt);
  if (recording === undefined) throw new AdapterError('NOT_FOUND', 'nothing was recorded at that time');
  return openAddress(http, recording.url, signal);
}
