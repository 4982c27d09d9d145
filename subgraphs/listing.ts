import { type Page, pageInfo } from '../storage/connection.ts';

/** What a connection is resolved from: a page that was read, and a count that is made when it is asked for. */
export interface Listing<Row> {
  readonly page: Page<Row>;
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

/** Resolvers of a connection over one page of rows. */
export function connectionResolvers<Row>(): {
  edges: (list: Listing<Row>) => Entry<Row>[];
  nodes: (list: Listing<Row>) => Row[];
  pageInfo: (list: Listing<Row>) => ReturnType<typeof pageInfo>;
  totalCount: (list: Listing<Row>) => Promise<number>;
} {
  return {
    edges: ({ page }) => toEntries(page),
    nodes: ({ page }) => [...page.rows],
    pageInfo: ({ page }) => pageInfo(page),
    totalCount: (list) => list.total(),
  };
}

/** Resolvers of its edges. */
export function edgeResolvers<Row>(): {
  cursor: (entry: Entry<Row>) => string;
  node: (entry: Entry<Row>) => Row;
} {
  return { cursor: ({ page, row }) => page.cursorOf(row), node: ({ row }) => row };
}
