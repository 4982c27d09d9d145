/** A row's text as one of the API's words; what a later version of the store may have written becomes the fallback. */
export function toWord<Word extends string, Fallback>(
  words: readonly Word[],
  value: string | null,
  fallback: Fallback,
): Word | Fallback {
  return words.find((word) => word === value) ?? fallback;
}
