import { type GraphQLResolveInfo, Kind, type SelectionSetNode } from 'graphql';

/** A list with the place in the stream at which it is true; null when nobody asked. */
export type AsOf<Listing> = Listing & { readonly asOf: number | null };

/**
 * Reads a list after the head of the log: whoever subscribes after that head is told everything that the list may lack.
 * The head costs a statement, and is only read for those who ask for `asOfCursor`.
 *
 * @param list reads it; is given the head when that is asked for
 */
export async function withAsOf<Listing extends object>(
  info: GraphQLResolveInfo,
  head: () => Promise<number>,
  list: (head: number | null) => Promise<Listing>,
): Promise<AsOf<Listing>> {
  const asOf = isAsked(info) ? await head() : null;
  return { ...(await list(asOf)), asOf };
}

/** Directives are not looked at: what might be asked for counts as asked for. */
function isAsked({ fieldNodes, fragments }: GraphQLResolveInfo): boolean {
  const holds = ({ selections }: SelectionSetNode): boolean =>
    selections.some((node) => {
      if (node.kind === Kind.FIELD) return node.name.value === 'asOfCursor';
      const inner = node.kind === Kind.INLINE_FRAGMENT ? node : fragments[node.name.value];
      return inner !== undefined && holds(inner.selectionSet);
    });
  return fieldNodes.some(({ selectionSet }) => selectionSet !== undefined && holds(selectionSet));
}
