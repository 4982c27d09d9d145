import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  Lexer,
  type OperationDefinitionNode,
  type OperationTypeNode,
  parse,
  Source,
  TokenKind,
} from 'graphql';
import { Refusal } from '../refusal.ts';
import { type Measure, measureOperation } from './measure.ts';

/** Our own largest operation has about 250. Validation compares equal fields pairwise: 1,000 take it 30 ms, 2,000 take 110. */
export const MAX_TOKENS = 1_000;
/** Fields inside one another: org, sites, nodes, devices, nodes, parent, status is 7. */
export const MAX_DEPTH = 12;
/** The usual introspection query has 15 levels. */
export const MAX_INTROSPECTION_DEPTH = 20;
export const MAX_ALIASES = 30;
export const MAX_ROOT_FIELDS = 20;
export const MAX_DIRECTIVES = 50;

/** Documents that are remembered, and how long one may be to be worth it. */
const CACHED_DOCUMENTS = 1_000;
const CACHED_DOCUMENT_CHARS = 16_384;

/** An operation that may go to the engine. */
export interface AdmittedOperation {
  readonly type: OperationTypeNode;
  readonly name: string | null;
  readonly cost: number;
}

export interface OperationLimits {
  /**
   * Reads a document and measures the operation that is asked for.
   *
   * @throws Refusal `GRAPHQL_PARSE_FAILED`, `BAD_REQUEST` (which operation?), `QUERY_TOO_COMPLEX` or `PAGE_TOO_LARGE`,
   *   all of them HTTP 400
   */
  admit(text: string, operationName: string | null, variables: Readonly<Record<string, unknown>>): AdmittedOperation;
}

interface ParsedDocument {
  readonly operations: readonly OperationDefinitionNode[];
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** The last measure of each operation, good for as long as what it depends on stays. */
  readonly measured: Map<OperationDefinitionNode, Remembered>;
}

interface Remembered {
  readonly schema: GraphQLSchema;
  readonly dependsOn: readonly string[];
  readonly values: readonly unknown[];
  readonly measure: Measure;
}

function tooComplex(limit: string, value: number, maximum: number): Refusal {
  return new Refusal(400, 'QUERY_TOO_COMPLEX', `The operation's ${limit} is ${value}; at most ${maximum} is allowed.`, {
    details: { limit, value, maximum },
  });
}

/** Counted ahead of the parser, which would build a tree of them first. */
function assertTokens(source: Source): void {
  const lexer = new Lexer(source);
  for (let count = 0; lexer.advance().kind !== TokenKind.EOF; count++) {
    if (count >= MAX_TOKENS) throw tooComplex('number of tokens', count + 1, MAX_TOKENS);
  }
}

function parseDocument(text: string): ParsedDocument {
  let document: DocumentNode;
  try {
    const source = new Source(text);
    assertTokens(source);
    document = parse(source, { noLocation: true });
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    throw new Refusal(400, 'GRAPHQL_PARSE_FAILED', error.message, {
      details: error.locations === undefined ? {} : { locations: error.locations },
    });
  }
  const operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  const fragments = document.definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
  return {
    operations,
    fragments: new Map(fragments.map((fragment) => [fragment.name.value, fragment])),
    measured: new Map(),
  };
}

function chooseOperation({ operations }: ParsedDocument, name: string | null): OperationDefinitionNode {
  const [only] = operations;
  if (name === null) {
    if (only !== undefined && operations.length === 1) return only;
    const message =
      operations.length === 0 ? 'The document has no operation.' : 'Say which operation by operationName.';
    throw new Refusal(400, 'BAD_REQUEST', message);
  }
  const named = operations.find((operation) => operation.name?.value === name);
  if (named === undefined) throw new Refusal(400, 'BAD_REQUEST', 'The document has no operation of that name.');
  return named;
}

function assertWithin(measure: Measure, maxCost: number): void {
  const bounds = [
    ['depth', measure.depth, MAX_DEPTH],
    ['introspection depth', measure.introspectionDepth, MAX_INTROSPECTION_DEPTH],
    ['number of aliases', measure.aliases, MAX_ALIASES],
    ['number of root fields', measure.fields, MAX_ROOT_FIELDS],
    ['number of directives', measure.directives, MAX_DIRECTIVES],
    ['cost', measure.cost, maxCost],
  ] as const;
  for (const [limit, value, maximum] of bounds) if (value > maximum) throw tooComplex(limit, value, maximum);
}

/**
 * The limits that every operation meets before it is validated or planned.
 *
 * @param schema read for every operation: it changes when the supergraph is reloaded
 * @param maxCost highest cost of one operation
 */
export function createOperationLimits({
  schema,
  maxCost,
}: {
  readonly schema: () => GraphQLSchema;
  readonly maxCost: number;
}): OperationLimits {
  const documents = new Map<string, ParsedDocument>();

  function read(text: string): ParsedDocument {
    const known = documents.get(text);
    if (known !== undefined) return known;
    const parsed = parseDocument(text);
    if (text.length <= CACHED_DOCUMENT_CHARS) {
      // Oldest out. Clients send the same few documents, so order of use is not worth keeping.
      const oldest = documents.size < CACHED_DOCUMENTS ? undefined : documents.keys().next().value;
      if (oldest !== undefined) documents.delete(oldest);
      documents.set(text, parsed);
    }
    return parsed;
  }

  function measureOf(
    document: ParsedDocument,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
  ): Measure {
    const current = schema();
    const known = document.measured.get(operation);
    const holds =
      known?.schema === current && known.dependsOn.every((name, index) => variables[name] === known.values[index]);
    if (known !== undefined && holds) return known.measure;
    const { fragments } = document;
    const { measure, dependsOn } = measureOperation({ schema: current, operation, fragments, variables });
    const values = dependsOn.map((name) => variables[name]);
    document.measured.set(operation, { schema: current, dependsOn, values, measure });
    return measure;
  }

  return {
    admit(text, operationName, variables) {
      const document = read(text);
      const operation = chooseOperation(document, operationName);
      const measure = measureOf(document, operation, variables);
      assertWithin(measure, maxCost);
      return { type: operation.operation, name: operation.name?.value ?? null, cost: measure.cost };
    },
  };
}
