import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { parseJson } from '../../adapter-kit/json-guard.ts';
import { contentOfBytes } from '../../adapter-kit/media.ts';
import type { MediaContent, MediaRef } from '../../adapter-kit/model.ts';
import { createFieldReader } from './event-fields.ts';
import { readTexts } from './event-values.ts';
import { findPicture } from './pictures.ts';
import type { ReconeyezSettings } from './settings.ts';

/**
 * A picture that came with its event. The platform has no call for it: it is where it came from, in the delivery.
 *
 * @throws AdapterError NOT_FOUND when the delivery is not kept any more, or has no such picture
 */
export async function openDeliveredPicture(
  { delivery, contentType }: Pick<MediaRef, 'delivery' | 'contentType'>,
  sha256: string,
  settings: ReconeyezSettings,
): Promise<MediaContent> {
  const message = await delivery();
  if (message === null)
    throw new AdapterError('NOT_FOUND', 'the delivery that the picture came with is not kept any more');
  const fields = createFieldReader(settings.aliases);
  const body = parseJson(message.body);
  for (const event of Array.isArray(body) ? body : [body]) {
    if (typeof event !== 'object' || event === null) continue;
    const bytes = findPicture(fields.read(event, 'pictures', readTexts) ?? [], sha256);
    if (bytes !== null) return contentOfBytes(bytes, contentType);
  }
  throw new AdapterError('NOT_FOUND', 'the delivery has no such picture');
}
