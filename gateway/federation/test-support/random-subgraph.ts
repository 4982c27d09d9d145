import { buildSubgraphSchema } from '@apollo/subgraph';
import {
  type ConstDirectiveNode,
  getNamedType,
  GraphQLError,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  isAbstractType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
  Kind,
  parse,
} from 'graphql';
import type { Subgraph } from '../../../schema/subgraph.ts';
import { chance, pick } from './random.ts';

/** How often something goes wrong: 0 never, 1 always. */
export interface Faults {
  /** A nullable field is null. */
  readonly nullable: number;
  /** A field throws. */
  readonly error: number;
  /** A non-null field is null. */
  readonly violation: number;
  /** An entity is unknown to a subgraph. */
  readonly missing: number;
}

export const NO_FAULTS: Faults = { nullable: 0, error: 0, violation: 0, missing: 0 };

type RandomObject = { readonly __typename: string; readonly seed: string } & Record<string, unknown>;

const INTERNAL = /^_(entities|service)$/;
/** So few that entities meet each other again. */
const IDS = 6;

/**
 * A subgraph whose every value follows from the seed, the entity, the field and its arguments: whichever way an entity
 * is reached it looks the same, so two engines must give equal answers.
 */
export function randomSubgraph(name: string, sdl: string, seed: string, faults: Faults): Subgraph {
  const document = parse(sdl);
  const schema = buildSubgraphSchema([{ typeDefs: document, resolvers: {} }]);
  const keys = new Map<string, readonly string[]>();
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION && definition.kind !== Kind.OBJECT_TYPE_EXTENSION) continue;
    const key = definition.directives?.find((directive) => directive.name.value === 'key');
    if (key !== undefined) keys.set(definition.name.value, fieldsOfKey(key));
  }
  const random = new RandomValues(schema, keys, seed, faults);
  for (const type of Object.values(schema.getTypeMap())) {
    if (isObjectType(type) && !type.name.startsWith('_')) random.resolveFieldsOf(type);
    if (isAbstractType(type) && !type.name.startsWith('_'))
      type.resolveType = (value: RandomObject) => value.__typename;
  }
  return { name, sdl, schema, createContext: (request) => request };
}

function fieldsOfKey(key: ConstDirectiveNode): readonly string[] {
  const fields = key.arguments?.find((argument) => argument.name.value === 'fields')?.value;
  return fields?.kind === Kind.STRING ? fields.value.split(/\s+/) : [];
}

class RandomValues {
  readonly #schema: GraphQLSchema;
  readonly #keys: ReadonlyMap<string, readonly string[]>;
  readonly #seed: string;
  readonly #faults: Faults;

  constructor(schema: GraphQLSchema, keys: ReadonlyMap<string, readonly string[]>, seed: string, faults: Faults) {
    this.#schema = schema;
    this.#keys = keys;
    this.#seed = seed;
    this.#faults = faults;
  }

  resolveFieldsOf(type: GraphQLObjectType): void {
    for (const field of Object.values(type.getFields())) {
      if (INTERNAL.test(field.name)) continue;
      field.resolve = (source: RandomObject | undefined, args: Record<string, unknown>) => {
        const known: unknown = source?.[field.name];
        if (known !== undefined) return known;
        const at = `${source?.seed ?? type.name}.${field.name}(${JSON.stringify(args)})`;
        if (this.#happens(this.#faults.error, `error ${at}`))
          throw new GraphQLError(`no ${type.name}.${field.name}`, { extensions: { code: 'RANDOM' } });
        if (isNonNullType(field.type) && this.#happens(this.#faults.violation, `violation ${at}`)) return null;
        return this.#value(field.type, at);
      };
    }
    if (!this.#keys.has(type.name)) return;
    // Asynchronous as the product's are: an error costs its entity alone. One thrown at once would cost all of `_entities`,
    // and with it whatever else the operation asks for; planners differ in what they join into one operation.
    const resolveReference = async (reference: Record<string, unknown>) => {
      const entity = this.#entity(type.name, reference);
      if (this.#happens(this.#faults.missing, `missing ${entity.seed}`)) return null;
      if (this.#happens(this.#faults.error, `error ${entity.seed}`))
        throw new GraphQLError(`no ${type.name}`, { extensions: { code: 'RANDOM' } });
      return entity;
    };
    type.extensions = { ...type.extensions, apollo: { subgraph: { resolveReference } } };
  }

  #happens(share: number, at: string): boolean {
    return share > 0 && chance(`${this.#seed} ${at}`) < share;
  }

  #entity(typeName: string, key: Record<string, unknown>): RandomObject {
    const fields = Object.fromEntries((this.#keys.get(typeName) ?? []).map((name) => [name, key[name]]));
    return { __typename: typeName, seed: `${typeName}${JSON.stringify(fields)}`, ...fields };
  }

  #value(type: GraphQLOutputType, at: string): unknown {
    if (isNonNullType(type)) return this.#present(type.ofType, at);
    return this.#happens(this.#faults.nullable, `null ${at}`) ? null : this.#present(type, at);
  }

  #present(type: GraphQLOutputType, at: string): unknown {
    if (isListType(type)) {
      const length = Math.floor(chance(`${this.#seed} length ${at}`) * 4);
      return Array.from({ length }, (_, index) => this.#value(type.ofType, `${at}[${index}]`));
    }
    const named = getNamedType(type);
    if (isObjectType(named)) return this.#object(named, at);
    if (isAbstractType(named))
      return this.#object(pick(this.#schema.getPossibleTypes(named), chance(`${this.#seed} type ${at}`)), at);
    return this.#leaf(named, at);
  }

  #object(type: GraphQLObjectType, at: string): RandomObject {
    const keys = this.#keys.get(type.name);
    if (keys === undefined) return { __typename: type.name, seed: at };
    const number = Math.floor(chance(`${this.#seed} id ${at}`) * IDS);
    return this.#entity(type.name, Object.fromEntries(keys.map((name) => [name, `${name}_${number}`])));
  }

  #leaf(type: GraphQLNamedType, at: string): unknown {
    const value = chance(`${this.#seed} leaf ${at}`);
    if (isEnumType(type)) return pick(type.getValues(), value).value;
    if (!isScalarType(type)) throw new Error(`${type.name} is no leaf`);
    switch (type.name) {
      case 'Int':
        return Math.floor(value * 1_000);
      case 'Float':
        return value * 100;
      case 'Boolean':
        return value < 0.5;
      case 'JSON':
        return { text: `"quoted" ${value}`, list: [1, null, { deep: true }] };
      default:
        return `${type.name} ü\n"${Math.floor(value * 1e6)}"`;
    }
  }
}
