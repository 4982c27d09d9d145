import {
  type GraphQLArgument,
  type GraphQLField,
  getNamedType,
  type GraphQLInputType,
  type GraphQLInterfaceType,
  type GraphQLObjectType,
  type GraphQLSchema,
  type GraphQLUnionType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  parse,
  validate,
} from 'graphql';
import { pick, sequence } from './random.ts';

export interface RandomQuery {
  readonly text: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

const CONDITIONS = { yes: true, no: false };
const MAX_DEPTH = 6;
const MAX_FIELDS = 60;

export interface RandomQueryOptions {
  /** Default: four that any gateway can stand. */
  readonly aliases?: readonly string[];
  /** With @skip and @include. Default true. */
  readonly conditions?: boolean;
}

const PLAIN_ALIASES = ['a', 'b', 'count', 'label'];

/** A valid query against the schema, the same for the same seed: aliases, fragments, @skip/@include, arguments, variables. */
export function randomQuery(schema: GraphQLSchema, seed: string, options: RandomQueryOptions = {}): RandomQuery {
  for (let attempt = 0; ; attempt++) {
    const query = new Writer(schema, sequence(`${seed}/${attempt}`), options).write();
    // Two selections under one name that cannot merge: legal to write, not to ask. Another attempt is cheaper than a proof.
    if (validate(schema, parse(query.text)).length === 0) return query;
  }
}

type Composite = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType;

class Writer {
  readonly #schema: GraphQLSchema;
  readonly #next: () => number;
  readonly #aliases: readonly string[];
  readonly #hasConditions: boolean;
  readonly #fragments: string[] = [];
  readonly #variables = new Map<string, { readonly type: string; readonly value: unknown }>();
  #fields = 0;

  constructor(
    schema: GraphQLSchema,
    next: () => number,
    { aliases = PLAIN_ALIASES, conditions = true }: RandomQueryOptions,
  ) {
    this.#aliases = aliases;
    this.#hasConditions = conditions;
    this.#schema = schema;
    this.#next = next;
  }

  write(): RandomQuery {
    const root = this.#schema.getQueryType();
    if (root === undefined || root === null) throw new Error('the schema has no queries');
    const selection = this.#selection(root, 0);
    const conditions = Object.keys(CONDITIONS).filter((name) =>
      [selection, ...this.#fragments].some((text) => text.includes(`$${name}`)),
    );
    const declared = [
      ...conditions.map((name) => `$${name}: Boolean!`),
      ...[...this.#variables].map(([name, { type }]) => `$${name}: ${type}`),
    ];
    const head = declared.length === 0 ? 'query' : `query (${declared.join(', ')})`;
    return {
      text: [`${head} ${selection}`, ...this.#fragments].join('\n'),
      variables: {
        ...CONDITIONS,
        ...Object.fromEntries([...this.#variables].map(([name, { value }]) => [name, value])),
      },
    };
  }

  #selection(type: Composite, depth: number): string {
    const parts: string[] = [];
    const fields = isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : [];
    const wanted = 1 + Math.floor(this.#next() * 4);
    for (let count = 0; count < wanted && fields.length > 0; count++)
      parts.push(this.#field(pick(fields, this.#next()), depth));
    if (isAbstractType(type)) {
      for (const possible of this.#schema.getPossibleTypes(type)) {
        if (this.#next() < 0.4)
          parts.push(`... on ${possible.name}${this.#condition()} ${this.#selection(possible, depth + 1)}`);
      }
    } else if (depth > 0 && this.#next() < 0.1) {
      parts.push(`...${this.#condition()} ${this.#selection(type, depth + 1)}`);
    }
    if (this.#next() < 0.15) parts.push(this.#next() < 0.5 ? '__typename' : 'kind: __typename');
    const present = parts.filter((part) => part !== '');
    // An object all of whose fields are left out is `{}`; Apollo Gateway calls that an error, so it is tested elsewhere.
    if (present.every((part) => part.includes('@') || part.startsWith('...'))) present.push('__typename');
    const selection = `{ ${present.join(' ')} }`;
    if (depth === 0 || this.#next() > 0.1) return selection;
    const name = `F${this.#fragments.length}`;
    this.#fragments.push(`fragment ${name} on ${type.name} ${selection}`);
    return `{ ...${name} }`;
  }

  #field(field: GraphQLField<unknown, unknown>, depth: number): string {
    const type = getNamedType(field.type);
    if (!isLeafType(type) && (depth >= MAX_DEPTH || this.#fields > MAX_FIELDS)) return '';
    this.#fields++;
    const alias = this.#next() < 0.15 ? `${pick(this.#aliases, this.#next())}: ` : '';
    const body = isLeafType(type) ? '' : ` ${this.#selection(type, depth + 1)}`;
    return `${alias}${field.name}${this.#arguments(field.args)}${this.#condition()}${body}`;
  }

  #condition(): string {
    if (this.#next() > 0.08 || !this.#hasConditions) return '';
    return ` @${pick(['skip', 'include'], this.#next())}(if: ${pick(['$yes', '$no', 'true', 'false'], this.#next())})`;
  }

  #arguments(args: readonly GraphQLArgument[]): string {
    const given = args.filter((argument) => isRequiredArgument(argument) || this.#next() < 0.2);
    if (given.length === 0) return '';
    return `(${given.map((argument) => `${argument.name}: ${this.#argument(argument.type)}`).join(', ')})`;
  }

  #argument(type: GraphQLInputType): string {
    const value = this.#input(type);
    if (this.#next() < 0.4 && !isEnumInside(type)) {
      const name = `v${this.#variables.size}`;
      this.#variables.set(name, { type: String(type), value });
      return `$${name}`;
    }
    return literal(value, type);
  }

  #input(type: GraphQLInputType): unknown {
    if (isNonNullType(type)) return this.#input(type.ofType);
    if (isListType(type))
      return Array.from({ length: 1 + Math.floor(this.#next() * 2) }, () => this.#input(type.ofType));
    if (isEnumType(type)) return pick(type.getValues(), this.#next()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields());
      const given = fields.filter(
        (field) => isRequiredInputField(field) || (isLeafType(getNamedType(field.type)) && this.#next() < 0.2),
      );
      return Object.fromEntries(given.map((field) => [field.name, this.#input(field.type)]));
    }
    switch (type.name) {
      case 'Int':
        return 1 + Math.floor(this.#next() * 20);
      case 'Float':
        return this.#next();
      case 'Boolean':
        return this.#next() < 0.5;
      case 'ID':
        return `id_${Math.floor(this.#next() * 6)}`;
      default:
        return `text ${Math.floor(this.#next() * 6)}`;
    }
  }
}

/** Enum values are names in a literal and texts in a variable; inside input objects that is left to the literals. */
function isEnumInside(type: GraphQLInputType): boolean {
  return isInputObjectType(getNamedType(type));
}

function literal(value: unknown, type: GraphQLInputType): string {
  if (isNonNullType(type)) return literal(value, type.ofType);
  if (isListType(type) && Array.isArray(value))
    return `[${value.map((entry) => literal(entry, type.ofType)).join(', ')}]`;
  if (isEnumType(type)) return String(value);
  if (isInputObjectType(type)) {
    const fields = Object.entries(value ?? {}).map(([name, entry]) => {
      const field = type.getFields()[name];
      return field === undefined ? '' : `${name}: ${literal(entry, field.type)}`;
    });
    return `{${fields.join(', ')}}`;
  }
  return JSON.stringify(value);
}
