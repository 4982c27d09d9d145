import { type Page, pageInfo } from '../storage/connection.ts';

/** A page that was read. */
export interface Paged<Row> {
  readonly page: Page<Row>;
}

/** What a connection is resolved from: a page that was read, and a count that is made when it is asked for. */
export interface Listing<Row> extends Paged<Row> {
  readonly total: () => Promise<number>;
}

/** What an edge is resolved from. */
export interface Entry<Row> {
  readonly page: Page<Row>;
  readonly row: Row;
}

export function toEntries<Row>(page: Page<Row>): Entry<Row>[] {
  return page.rows.map((row) => ({ page, row }));
}

/** Resolvers of a connection over one page of rows, less its count. */
export function pageResolvers<Row>(): {
  edges: (list: Paged<Row>) => Entry<Row>[];
  nodes: (list: Paged<Row>) => Row[];
  pageInfo: (list: Paged<Row>) => ReturnType<typeof pageInfo>;
} {
  return {
    edges: ({ page }) => toEntries(page),
    nodes: ({ page }) => [...page.rows],
    pageInfo: ({ page }) => pageInfo(page),
  };
}

/** Resolvers of a connection that knows how many there are. */
export function connectionResolvers<Row>(): ReturnType<typeof pageResolvers<Row>> & {
  totalCount: (list: Listing<Row>) => Promise<number>;
} {
  return { ...pageResolvers<Row>(), totalCount: (list) => list.total() };
}

/** Resolvers of its edges. */
export function edgeResolvers<Row>(): {
  cursor: (entry: Entry<Row>) => string;
  node: (entry: Entry<Row>) => Row;
} {
  return { cursor: ({ page, row }) => page.cursorOf(row), node: ({ row }) => row };
}
