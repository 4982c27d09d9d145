// How to go on after a break: the session, the last event of it, and the time up to which states were told.
import { z } from 'zod';

const Resume = z.strictObject({
  sessionId: z.string().max(200),
  eventId: z.string().max(200),
  /** Milliseconds since the epoch, by the platform's clock; null: no state was told yet. */
  toldUntil: z.number().nullable(),
});
export type Resume = z.infer<typeof Resume>;

export function encodeResume(resume: Resume): string {
  return JSON.stringify(resume);
}

/** @returns null for a token that is none of ours: a fresh session is always possible */
export function decodeResume(token: string | null): Resume | null {
  if (token === null) return null;
  try {
    return Resume.parse(JSON.parse(token));
  } catch {
    return null;
  }
}
