import type { ServerResponse } from 'node:http';

/** What a sender is told. The code is stable; decide on it, not on the text. */
export interface IntakeAnswer {
  readonly status: number;
  readonly code: IntakeCode;
  readonly message: string;
  readonly retryAfterSeconds?: number;
}

export type IntakeCode =
  | 'UNAUTHENTICATED'
  | 'TIMESTAMP_OUT_OF_WINDOW'
  | 'INTEGRATION_DISABLED'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_ENCODING'
  | 'BAD_REQUEST'
  | 'RATE_LIMITED'
  | 'OVERLOADED'
  | 'UNAVAILABLE';

/** An integration that does not exist and a signature that is wrong: one answer, so that nobody can find out ids by it. */
export const UNAUTHENTICATED: IntakeAnswer = {
  status: 401,
  code: 'UNAUTHENTICATED',
  message: 'No current secret of this integration made this signature over these bytes.',
};
export const STALE: IntakeAnswer = {
  status: 401,
  code: 'TIMESTAMP_OUT_OF_WINDOW',
  message: 'The signature is good, its timestamp is too far from our clock. Check the clock, sign again, send again.',
};
export const DISABLED: IntakeAnswer = {
  status: 403,
  code: 'INTEGRATION_DISABLED',
  message: 'An operator has switched this integration off.',
};
export const UNSUPPORTED_ENCODING: IntakeAnswer = {
  status: 415,
  code: 'UNSUPPORTED_ENCODING',
  message: 'Send the body as it was signed, without content-encoding.',
};
export const NOT_GZIP: IntakeAnswer = {
  status: 400,
  code: 'UNSUPPORTED_ENCODING',
  message: 'The signature is good, but the body is not the gzip that content-encoding says.',
};
export const RATE_LIMITED: IntakeAnswer = {
  status: 503,
  code: 'RATE_LIMITED',
  message: 'More deliveries a second than one integration may send. Send again later.',
  retryAfterSeconds: 1,
};
export const OVERLOADED: IntakeAnswer = {
  status: 503,
  code: 'OVERLOADED',
  message: 'Too many deliveries wait. Nothing was stored; send again later.',
  retryAfterSeconds: 5,
};
export const TOO_MANY_QUESTIONS: IntakeAnswer = {
  status: 429,
  code: 'RATE_LIMITED',
  message:
    'More questions for receipts than one integration may ask in a second. Ask again later, for several at once.',
  retryAfterSeconds: 1,
};
export const UNAVAILABLE: IntakeAnswer = {
  status: 503,
  code: 'UNAVAILABLE',
  message: 'The delivery could not be stored. Send again later.',
  retryAfterSeconds: 5,
};

export function badQuestion(message: string): IntakeAnswer {
  return { status: 400, code: 'BAD_REQUEST', message };
}

export function tooLarge(limit: number): IntakeAnswer {
  return { status: 413, code: 'PAYLOAD_TOO_LARGE', message: `A delivery has at most ${limit} bytes.` };
}

/** @param mustClose the request was not read to its end: the connection cannot be used again */
export function refuse(res: ServerResponse, answer: IntakeAnswer, mustClose = false): void {
  const body = JSON.stringify({ accepted: false, error: { code: answer.code, message: answer.message } });
  res.writeHead(answer.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(answer.retryAfterSeconds === undefined ? {} : { 'retry-after': String(answer.retryAfterSeconds) }),
    ...(mustClose ? { connection: 'close' } : {}),
  });
  res.end(body);
}

/** What became of deliveries. */
export function tellReceipts(res: ServerResponse, receipts: readonly object[]): void {
  const body = JSON.stringify({ receipts });
  res.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  res.end(body);
}

/** 202 for what is new, 200 for what was there: both mean that it is on disk. */
export function accept(res: ServerResponse, deliveryId: string, isDuplicate: boolean): void {
  const body = isDuplicate
    ? `{"accepted":true,"duplicate":true,"deliveryId":"${deliveryId}"}`
    : `{"accepted":true,"deliveryId":"${deliveryId}"}`;
  res.writeHead(isDuplicate ? 200 : 202, { 'content-type': 'application/json', 'content-length': body.length });
  res.end(body);
}
