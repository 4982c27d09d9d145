import type { z } from 'zod';
import { NativeEvent } from '../catalogue/native-event.ts';
import { type EventCodec, FormatError } from './codec.ts';

/** @throws FormatError */
export function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError('it is not JSON', { cause: error });
  }
}

/** @throws FormatError that names the first place which does not fit */
export function parseAs<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.map(String).join('.').slice(0, 80) ?? '';
  throw new FormatError(`${place === '' ? 'the event' : place} is not as the format has it`);
}

/** Our own JSON. */
export const native: EventCodec = {
  format: 'NATIVE',
  contentType: 'application/json',
  encode: (event) => JSON.stringify(event),
  decode: (text) => parseAs(NativeEvent, parseJsonText(text)),
};
