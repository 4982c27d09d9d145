import { type DocumentNode, type FieldNode, type GraphQLSchema, Kind, OperationTypeNode, visit } from 'graphql';

// Streams that differ in their filters are given the same events. What a stream asks of an event does not depend on how
// the event was found: streams with equal selections and equal access share its execution.

/**
 * What was made of an item is kept for so long at least, in milliseconds: streams that keep up come for it within one turn of the
 * event loop or a few. Whoever comes later is told what is true then.
 */
const KEPT_MS = 100;
/** Of streams and items together, in that time; more than this are made one by one. */
const MAX_KEPT = 10_000;

/** What is made of items, for those who come for the same at the same time. */
export interface SharedItems<T> {
  /**
   * @param item the same object for everybody who is given it
   * @param key what is made of it
   */
  get(item: object, key: string, make: () => Promise<T>): Promise<T>;
}

/** @param keptMs default 100; what is made is kept for once to twice as long */
export function createSharedItems<T>(keptMs = KEPT_MS): SharedItems<T> {
  let recent = new Map<object, Map<string, Promise<T>>>();
  let before: typeof recent = new Map();
  let count = 0;

  function turnOver(): void {
    before = recent;
    recent = new Map();
    count = 0;
    if (before.size > 0) setTimeout(turnOver, keptMs).unref();
  }

  return {
    get(item, key, make) {
      const known = recent.get(item)?.get(key) ?? before.get(item)?.get(key);
      if (known !== undefined) return known;
      const own = make();
      if (count >= MAX_KEPT) return own;
      if (recent.size === 0 && before.size === 0) setTimeout(turnOver, keptMs).unref();
      count += 1;
      const ofItem = recent.get(item);
      if (ofItem === undefined) recent.set(item, new Map([[key, own]]));
      else ofItem.set(key, own);
      return own;
    },
  };
}

/** Variables that are used elsewhere than in arguments of the root fields; null when the operation is no subscription. */
export function variablesOfItems(document: DocumentNode, operationName: string | null): ReadonlySet<string> | null {
  const operation = document.definitions.find(
    (each) => each.kind === Kind.OPERATION_DEFINITION && (operationName === null || each.name?.value === operationName),
  );
  if (operation?.kind !== Kind.OPERATION_DEFINITION || operation.operation !== OperationTypeNode.SUBSCRIPTION)
    return null;
  const roots = new Set<unknown>(operation.selectionSet.selections);
  const names = new Set<string>();
  visit(document, {
    VariableDefinition: () => false,
    Argument: (_node, _key, _parent, _path, ancestors) => (roots.has(ancestors.at(-1)) ? false : undefined),
    Variable: ({ name }) => void names.add(name.value),
  });
  return names;
}

/** Values of these variables as text. */
export function textOf(names: ReadonlySet<string>, variables: Readonly<Record<string, unknown>>): string {
  return JSON.stringify([...names].map((name) => (Object.hasOwn(variables, name) ? [variables[name]] : [])));
}

/** The one root field of a subscription whose items are what the source gives; null when a resolver makes them. */
export function plainRootField(schema: GraphQLSchema, document: DocumentNode): string | null {
  const [operation] = document.definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) return null;
  const fields = operation.selectionSet.selections.filter((node): node is FieldNode => node.kind === Kind.FIELD);
  const [field] = fields;
  if (field === undefined || operation.selectionSet.selections.length > 1) return null;
  const definition = schema.getSubscriptionType()?.getFields()[field.name.value];
  return definition === undefined || definition.resolve !== undefined ? null : field.name.value;
}
