import { Refusal } from './refusal.ts';

/** What a client asks for, as far as the transport can tell. */
export interface OperationParams {
  readonly query: string;
  readonly operationName: string | null;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** Nobody nests settings deeper; JSON.stringify gives up at some thousand. */
const MAX_NESTING = 32;
/** A replay of many dead letters names some hundred ids. */
const MAX_VALUES = 10_000;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badRequest(message: string): Refusal {
  return new Refusal(400, 'BAD_REQUEST', message);
}

/** Walks without recursion: the nesting is the sender's. `__proto__` would change objects that it is copied into. */
function assertPlain(variables: Readonly<Record<string, unknown>>): void {
  let level: unknown[] = [variables];
  let values = 0;
  for (let nesting = 0; level.length > 0; nesting++) {
    if (nesting > MAX_NESTING) throw badRequest(`Variables may be nested ${MAX_NESTING} levels deep.`);
    const next: unknown[] = [];
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue;
      if (Object.hasOwn(value, '__proto__')) throw badRequest('Variables must not have a member named __proto__.');
      for (const child of Object.values(value)) next.push(child);
    }
    values += next.length;
    if (values > MAX_VALUES) throw badRequest(`Variables may have ${MAX_VALUES} values.`);
    level = next;
  }
}

/**
 * Reads the members of a GraphQL request, from a JSON body or from a WebSocket message.
 *
 * @throws Refusal `BAD_REQUEST` or `BATCHING_NOT_SUPPORTED`
 * @see GraphQL over HTTP, "Request Parameters"
 */
export function parseOperationParams(value: unknown): OperationParams {
  if (Array.isArray(value)) {
    throw new Refusal(400, 'BATCHING_NOT_SUPPORTED', 'Batches are not supported: send one operation per request.');
  }
  if (!isObject(value)) throw badRequest('The request must be a JSON object.');
  const { query, operationName, variables, extensions } = value;
  if (typeof query !== 'string' || query === '') throw badRequest('`query` must be a text.');
  if (operationName !== undefined && operationName !== null && typeof operationName !== 'string') {
    throw badRequest('`operationName` must be a text.');
  }
  if (variables !== undefined && variables !== null && !isObject(variables)) {
    throw badRequest('`variables` must be an object.');
  }
  if (extensions !== undefined && extensions !== null && !isObject(extensions)) {
    throw badRequest('`extensions` must be an object.');
  }
  if (isObject(variables)) assertPlain(variables);
  return {
    query,
    operationName: operationName === undefined || operationName === '' ? null : operationName,
    variables: variables ?? {},
  };
}
