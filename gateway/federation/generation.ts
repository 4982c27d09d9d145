import {
  type DocumentNode,
  getOperationAST,
  GraphQLError,
  type GraphQLSchema,
  isAbstractType,
  isObjectType,
  parse,
  print,
  specifiedRules,
  validate,
} from 'graphql';
import { type BatchedFetch, createBatchedFetch } from './batched-fetch.ts';
import type { PlanContext } from './compile-plan.ts';
import { Lru } from './lru.ts';
import { Operation } from './operation.ts';
import type { Planner, PlannerFactory } from './planner.ts';
import { buildPublicSchema, machineryFieldNames } from './public-schema.ts';
import type { IsSubType } from './representations.ts';
import type { SharingRules } from './sharing.ts';
import { createSharedItems, type SharedItems } from './shared-items.ts';
import type { Made } from './stream-group.ts';
import type { SubgraphTransport } from './transport.ts';

/**
 * Operations are kept ready up to so many characters of text. With its syntax tree, shapes and plans an operation takes
 * some 20 bytes for each, so this is about 100 MB at worst; a fleet's few hundred operations fit many times over.
 */
const MAX_CACHED_TEXT = 4_000_000;

/** Kinds of streams whose fetches go together; a stream of one that was forgotten fetches with its own kind from then on. */
const MAX_BATCHED_FETCHES = 10_000;

/** A document has at most so many tokens; the front door has a stricter limit, this one is for other callers. */
const MAX_TOKENS = 10_000;

/** Validation stops after so many errors: nobody reads more, and finding them costs time. */
const MAX_VALIDATION_ERRORS = 20;

/** One supergraph with everything derived from it. A reload makes a new one; requests end in the one they began in. */
export class Generation implements PlanContext {
  readonly schema: GraphQLSchema;
  readonly planner: Planner;
  readonly machinery: ReadonlySet<string>;
  readonly transports: ReadonlyMap<string, SubgraphTransport>;
  readonly personalTypes: ReadonlySet<string>;
  readonly singleFields: ReadonlySet<string>;
  readonly isSubType: IsSubType;
  /** What streams make of items that several of them are given. */
  readonly sharedItems: SharedItems<Made> = createSharedItems();
  /** By what streams make of items. */
  readonly #batchedFetches = new Lru<string, BatchedFetch>(MAX_BATCHED_FETCHES);
  readonly #prepared = new Lru<string, Operation | readonly GraphQLError[]>(MAX_CACHED_TEXT);
  readonly #texts = new WeakMap<DocumentNode, string>();

  /** @throws Error when the supergraph cannot be used */
  constructor(
    supergraphSdl: string,
    transports: ReadonlyMap<string, SubgraphTransport>,
    { personalTypes, singleFields }: Omit<SharingRules, 'schema'>,
    createPlanner: PlannerFactory,
  ) {
    this.schema = buildPublicSchema(supergraphSdl);
    this.planner = createPlanner(supergraphSdl);
    this.machinery = machineryFieldNames(supergraphSdl);
    this.transports = transports;
    this.personalTypes = personalTypes;
    this.singleFields = singleFields;
    this.isSubType = (typeName, condition) => {
      if (typeName === condition) return true;
      const abstract = this.schema.getType(condition);
      const type = this.schema.getType(typeName);
      return isAbstractType(abstract) && isObjectType(type) && this.schema.isSubType(abstract, type);
    };
  }

  /** For streams that make the same of items, see StreamGroup: what they fetch at the same time is fetched together. */
  batchedFetchOf(key: string): BatchedFetch {
    const known = this.#batchedFetches.get(key);
    if (known !== undefined) return known;
    const made = createBatchedFetch();
    this.#batchedFetches.set(key, made, 1);
    return made;
  }

  /** The text that stands for a document in every cache. */
  textOf(document: DocumentNode | string): string {
    if (typeof document === 'string') return document;
    let text = this.#texts.get(document);
    if (text === undefined) {
      text = print(document);
      this.#texts.set(document, text);
    }
    return text;
  }

  /** The operation, or why it is none. Equal texts give the same result without parsing again. */
  prepare(document: DocumentNode | string, operationName: string | null): Operation | readonly GraphQLError[] {
    const text = this.textOf(document);
    const key = `${operationName ?? ''}\n${text}`;
    const known = this.#prepared.get(key);
    if (known !== undefined) return known;
    const prepared = this.#prepare(typeof document === 'string' ? null : document, text, operationName);
    this.#prepared.set(key, prepared, key.length);
    return prepared;
  }

  #prepare(
    given: DocumentNode | null,
    text: string,
    operationName: string | null,
  ): Operation | readonly GraphQLError[] {
    let document: DocumentNode;
    try {
      document = given ?? parse(text, { maxTokens: MAX_TOKENS });
    } catch (error) {
      return [error instanceof GraphQLError ? error : new GraphQLError('The document cannot be parsed.')];
    }
    const errors = validate(this.schema, document, specifiedRules, { maxErrors: MAX_VALIDATION_ERRORS });
    if (errors.length > 0) return errors;
    const definition = getOperationAST(document, operationName);
    if (definition === null || definition === undefined) {
      return [
        new GraphQLError(
          operationName === null
            ? 'The document needs exactly one operation, or operationName must tell which.'
            : `The document has no operation named "${operationName}".`,
        ),
      ];
    }
    return new Operation(this, document, definition);
  }
}
