import { clientKey } from './source-keys.ts';
import type { FetchedField } from './compile-plan.ts';
import { isOneOf, type Place } from './locate.ts';
import { type AnswerError, type ResponsePath, TransportError } from './transport.ts';

/** An answer tells at most so many errors; a dead subgraph under a long list would otherwise outweigh the data. */
const MAX_ERRORS = 1_000;

/** Gathers what went wrong while one answer was made, by the client's names and places. */
export class ErrorLog {
  readonly #errors: AnswerError[] = [];
  readonly #explained: ResponsePath[] = [];
  #omitted = 0;

  get isEmpty(): boolean {
    return this.#errors.length === 0;
  }

  add(error: AnswerError): void {
    if (this.#errors.length < MAX_ERRORS) this.#errors.push(error);
    else this.#omitted++;
  }

  /** What is missing at this place, or anywhere below, follows from an error that was added. */
  explain(path: ResponsePath): void {
    if (this.#explained.length < MAX_ERRORS) this.#explained.push(path);
  }

  get explained(): readonly ResponsePath[] {
    return this.#explained;
  }

  /** Everything gathered; says so when there was more. */
  list(): readonly AnswerError[] {
    if (this.#omitted === 0) return this.#errors;
    const message = `${this.#omitted} more errors were left out of this answer.`;
    return [...this.#errors, { message, extensions: { code: 'TOO_MANY_ERRORS' } }];
  }
}

/** An error of a subgraph as it is told to clients: everything but its path, which is the subgraph's own. */
export function withService({ message, extensions }: AnswerError, service: string): AnswerError {
  return { message, extensions: { code: 'INTERNAL_SERVER_ERROR', ...extensions, service } };
}

/** Why a fetch brought nothing, as it is told to clients. */
export function failureOf(cause: unknown, service: string): AnswerError {
  if (cause instanceof TransportError) return { message: cause.message, extensions: { code: cause.code, service } };
  return { message: 'The data could not be fetched.', extensions: { code: 'SUBGRAPH_UNAVAILABLE', service } };
}

/** A path inside the answer, by the client's keys. */
export function clientPath(path: ResponsePath, renamed: ReadonlyMap<string, string>): ResponsePath {
  return path.map((key) => (typeof key === 'number' ? key : clientKey(renamed.get(key) ?? key)));
}

/**
 * Where the loss of these fields shows at one place: at the object itself when it cannot be without them, else at each
 * field.
 */
export function lossPaths(
  place: Place,
  fields: readonly FetchedField[],
  renamed: ReadonlyMap<string, string>,
): readonly ResponsePath[] {
  const lost = fields.filter(({ typeName }) => typeName === null || isOneOf(place.target, [typeName]));
  const base = clientPath(place.path, renamed);
  if (lost.length === 0 || (base.length > 0 && lost.some(({ nonNull }) => nonNull))) return [base];
  return lost.map(({ key }) => [...base, ...clientPath([key], renamed)]);
}
