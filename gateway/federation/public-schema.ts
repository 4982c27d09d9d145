import {
  type ASTNode,
  buildASTSchema,
  type ConstDirectiveNode,
  type DefinitionNode,
  type DocumentNode,
  type GraphQLSchema,
  Kind,
  parse,
  print,
  visit,
} from 'graphql';

// The client's view of a supergraph: everything but the machinery of federation and what is marked @inaccessible.

/** Directives that mean something to clients. */
const PUBLIC_DIRECTIVES: ReadonlySet<string> = new Set(['deprecated', 'specifiedBy', 'oneOf']);

/** graphql-js has them built in; defining them again is an error. */
const BUILT_IN_DIRECTIVES: ReadonlySet<string> = new Set(['deprecated', 'specifiedBy', 'oneOf', 'skip', 'include']);

const MACHINERY = /^(join|link|core|federation)__|^(link|core|inaccessible|tag)$/;

function directivesOf(node: ASTNode): readonly ConstDirectiveNode[] {
  return 'directives' in node ? ((node.directives ?? []) as readonly ConstDirectiveNode[]) : [];
}

function isHidden(node: ASTNode): boolean {
  return directivesOf(node).some((directive) => directive.name.value === 'inaccessible');
}

function isMachinery(definition: DefinitionNode): boolean {
  if (definition.kind === Kind.DIRECTIVE_DEFINITION) {
    const name = definition.name.value;
    return MACHINERY.test(name) || BUILT_IN_DIRECTIVES.has(name);
  }
  return 'name' in definition && definition.name !== undefined && MACHINERY.test(definition.name.value);
}

/** Definitions of the public API, in the supergraph's order. */
export function publicDocument(supergraphSdl: string): DocumentNode {
  const document = parse(supergraphSdl, { noLocation: true });
  const hiddenTypes = new Set<string>();
  for (const definition of document.definitions) {
    if ('name' in definition && definition.name !== undefined && isHidden(definition))
      hiddenTypes.add(definition.name.value);
  }
  const definitions = document.definitions.filter((definition) => !isMachinery(definition) && !isHidden(definition));
  return visit(
    { kind: Kind.DOCUMENT, definitions },
    {
      Directive: (node) => (PUBLIC_DIRECTIVES.has(node.name.value) ? undefined : null),
      FieldDefinition: (node) => (isHidden(node) ? null : undefined),
      InputValueDefinition: (node) => (isHidden(node) ? null : undefined),
      EnumValueDefinition: (node) => (isHidden(node) ? null : undefined),
      // Reached in these lists only where a hidden type is a union member or an implemented interface.
      NamedType: (node, key) => (typeof key === 'number' && hiddenTypes.has(node.name.value) ? null : undefined),
    },
  );
}

/** The public API as text, as `schema/api.graphql` holds it. */
export function publicSdl(supergraphSdl: string): string {
  return `${print(publicDocument(supergraphSdl))}\n`;
}

/** The schema that operations of clients are validated against. @throws Error when the supergraph is not valid */
export function buildPublicSchema(supergraphSdl: string): GraphQLSchema {
  return buildASTSchema(publicDocument(supergraphSdl));
}

/** Names of fields that planner and executor read from entities under their own names: keys and required fields. */
export function machineryFieldNames(supergraphSdl: string): ReadonlySet<string> {
  const names = new Set<string>(['__typename']);
  visit(parse(supergraphSdl, { noLocation: true }), {
    Argument(node) {
      if ((node.name.value !== 'key' && node.name.value !== 'requires') || node.value.kind !== Kind.STRING) return;
      for (const name of node.value.value.match(/\w+/g) ?? []) names.add(name);
    },
  });
  return names;
}
