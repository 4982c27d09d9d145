import { z } from 'zod';
import { redact, redactHeaders, redactText } from '../../adapter-kit/redact.ts';
import type { DeadLetterRow } from '../../storage/inbox-dead-letters.ts';

/** What an operator sees of a delivery that nobody understood. */
const MAX_PREVIEW_CHARACTERS = 1_024;

const Headers = z.record(z.string(), z.string()).catch({});

/** Its headers; those that prove or grant something were never stored, and secrets inside the others are taken out. */
export function headersOf(letter: DeadLetterRow): Record<string, string> {
  return redactHeaders(Headers.parse(JSON.parse(letter.headers)));
}

/** The beginning of its body, at most 1 KiB; bytes that are no UTF-8 show as U+FFFD. */
export function bodyPreview(letter: DeadLetterRow): string {
  return redactText(new TextDecoder().decode(letter.head), MAX_PREVIEW_CHARACTERS);
}

/** The platform's record of an event, without secrets that it may carry. */
export function rawOf(text: string | null): unknown {
  return text === null ? null : redact(JSON.parse(text));
}
