import type { GraphQLError } from 'graphql';
import type { ErrorLog } from './answer-errors.ts';
import { AnswerWriter, type CompletionFault } from './completion.ts';
import type { ObjectShape } from './object-shape.ts';
import type { AnswerError, ResponsePath } from './transport.ts';
import type { Tree } from './tree.ts';

type Extensions = Readonly<Record<string, unknown>>;

/**
 * The GraphQL response as JSON text, written in one pass over the tree. What cannot be written where the schema demands
 * a value is added to the errors, unless an error already tells why it is missing.
 */
export function answerText(
  shape: ObjectShape,
  root: Tree,
  errors: ErrorLog,
  extensions: Extensions | undefined,
): string {
  const out = new AnswerWriter();
  const data = shape.write(root, out) ?? 'null';
  if (out.faults.length > 0) tellFaults(out.faults, errors);
  const tail = extensions === undefined ? '' : `,"extensions":${JSON.stringify(extensions)}`;
  if (errors.isEmpty) return `{"data":${data}${tail}}`;
  return `{"errors":${JSON.stringify(errors.list())},"data":${data}${tail}}`;
}

/** The response to a request that was not executed. */
export function refusalText(
  errors: readonly (GraphQLError | AnswerError)[],
  extensions: Extensions | undefined,
): string {
  return JSON.stringify({ errors, ...(extensions === undefined ? {} : { extensions }) });
}

function tellFaults(faults: readonly CompletionFault[], errors: ErrorLog): void {
  const explained = new Explained(errors);
  for (const { message, path } of faults) {
    if (!explained.has(path)) errors.add({ message, path, extensions: { code: 'INTERNAL_SERVER_ERROR' } });
  }
}

/** Places whose loss is told already: by an error at the place, above it, or below it. */
class Explained {
  readonly #at = new Set<string>();
  readonly #above = new Set<string>();

  constructor(errors: ErrorLog) {
    const told = errors.list().map(({ path = [] }) => path);
    for (const path of [...told, ...errors.explained]) {
      this.#at.add(JSON.stringify(path));
      for (let length = 0; length < path.length; length++) this.#above.add(JSON.stringify(path.slice(0, length)));
    }
  }

  has(path: ResponsePath): boolean {
    if (this.#above.has(JSON.stringify(path))) return true;
    for (let length = 0; length <= path.length; length++) {
      if (this.#at.has(JSON.stringify(path.slice(0, length)))) return true;
    }
    return false;
  }
}
