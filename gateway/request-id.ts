import { randomUUID } from 'node:crypto';

/** What others call a request; anything else might carry markup into a log or an answer. */
const SANE = /^[\w.-]{1,128}$/;

/** @param given value of `x-request-id` @returns it when it is sane, a new one otherwise */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && SANE.test(given) ? given : randomUUID();
}
