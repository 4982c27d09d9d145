import type { NativeEvent } from '../catalogue/native-event.ts';
import type { EventFormat } from '../words.ts';

/** A text that is no event of the format it is said to be. The message names places and rules, never values. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/** One format of events, both ways: `decode(encode(event))` is the event again, without loss. */
export interface EventCodec {
  readonly format: EventFormat;
  /** As `Content-Type` says it. */
  readonly contentType: string;
  encode(event: NativeEvent): string;
  /** @throws FormatError */
  decode(text: string): NativeEvent;
}
