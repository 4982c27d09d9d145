import {
  type DocumentNode,
  getNamedType,
  type GraphQLSchema,
  isInterfaceType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql';

// Whoever may see the same is given the same answer, made once. Some fields are exceptions.

export interface SharingRules {
  readonly schema: GraphQLSchema;
  /** Types whose fields tell about the caller. */
  readonly personalTypes: ReadonlySet<string>;
  /** Fields of which each request has another, as `Type.field`. */
  readonly singleFields: ReadonlySet<string>;
}

/** Whom else the answer to a document is good for. */
export interface Sharing {
  /** It depends on who asks, not only on what they may see. */
  readonly isPersonal: boolean;
  /** It is made for one request alone: nobody else is given it, not even the same principal. */
  readonly isSingle: boolean;
}

/** Looks through a document, fragments included, for fields that are not for everybody. */
export function sharingOf(document: DocumentNode, { schema, personalTypes, singleFields }: SharingRules): Sharing {
  let isPersonal = false;
  let isSingle = false;

  function walk({ selections }: SelectionSetNode, typeName: string | undefined): void {
    for (const node of selections) {
      // Fragments are walked where they are defined.
      if (node.kind === Kind.FRAGMENT_SPREAD) continue;
      if (node.kind === Kind.INLINE_FRAGMENT) {
        walk(node.selectionSet, node.typeCondition?.name.value ?? typeName);
        continue;
      }
      const parent = typeName === undefined ? undefined : schema.getType(typeName);
      const field = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[node.name.value] : undefined;
      const next = field === undefined ? undefined : getNamedType(field.type).name;
      if (next !== undefined && personalTypes.has(next)) isPersonal = true;
      if (singleFields.has(`${typeName}.${node.name.value}`)) isSingle = true;
      if (node.selectionSet !== undefined) walk(node.selectionSet, next);
    }
  }

  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION)
      walk(definition.selectionSet, schema.getRootType(definition.operation)?.name);
    else if (definition.kind === Kind.FRAGMENT_DEFINITION)
      walk(definition.selectionSet, definition.typeCondition.name.value);
  }
  return { isPersonal, isSingle };
}
