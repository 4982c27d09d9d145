import { z } from 'zod';

/** What the log keeps of an event's pictures and clips, in their order. */
const StoredMedia = z.array(
  z.object({
    contentType: z.string().nullish(),
    url: z.string(),
    thumbnailUrl: z.string().nullish(),
    sizeBytes: z.number().nullish(),
    capturedAt: z.string().nullish(),
    sha256: z.string().nullish(),
  }),
);

export type StoredMedia = z.infer<typeof StoredMedia>[number];

/** @param text `events.media` @returns nothing when it is not what we write */
export function parseStoredMedia(text: string): readonly StoredMedia[] {
  const stored = StoredMedia.safeParse(JSON.parse(text));
  return stored.success ? stored.data : [];
}
