import type { Selectable } from 'kysely';
import type { AccessScope } from '../schema/principal.ts';
import { visibleAtSite } from './access-conditions.ts';
import { emptyPage, fetchFirstPages, fetchPage, type Ordering, type Page, type PageArgs } from './connection.ts';
import type { CursorCodec } from './cursor.ts';
import type { Database } from './database.ts';
import { isOneOf } from './sql-conditions.ts';
import type { IncidentsTable } from './status-tables.ts';

export type IncidentRow = Selectable<IncidentsTable>;

/** On what a list of incidents hangs. */
export type IncidentParent = 'org_id' | 'site_id';

/** One cause and all it explains. An incident of a whole platform is seen by who sees the whole org. */
export interface IncidentStore {
  byId(access: AccessScope, ids: readonly string[]): Promise<readonly IncidentRow[]>;
  /** Newest first, by parent. @param isOpen null: open and closed. @throws GraphQLError BAD_CURSOR */
  pages(
    access: AccessScope,
    parent: IncidentParent,
    ids: readonly string[],
    isOpen: boolean | null,
    page: PageArgs,
  ): Promise<ReadonlyMap<string, Page<IncidentRow>>>;
  counts(
    access: AccessScope,
    parent: IncidentParent,
    ids: readonly string[],
    isOpen: boolean | null,
  ): Promise<ReadonlyMap<string, number>>;
}

const NEWEST_FIRST: Ordering<IncidentRow> = {
  kind: 'incidents',
  table: 'incidents',
  column: 'opened_at',
  direction: 'desc',
  isNullable: false,
  key: (row) => row.opened_at,
};

export function createIncidentStore(db: Database, cursors: CursorCodec): IncidentStore {
  function visible(access: AccessScope, parent: IncidentParent, ids: readonly string[], isOpen: boolean | null) {
    const all = db.read
      .selectFrom('incidents')
      .where(visibleAtSite(access, 'incidents'))
      .where(isOneOf(`incidents.${parent}`, ids));
    return isOpen === null ? all : all.where('incidents.closed_at', isOpen ? 'is' : 'is not', null);
  }

  return {
    byId: (access, ids) =>
      db.read
        .selectFrom('incidents')
        .selectAll()
        .where(visibleAtSite(access, 'incidents'))
        .where(isOneOf('incidents.id', ids))
        .execute(),

    async pages(access, parent, ids, isOpen, page) {
      if (page.after !== null || ids.length === 1) {
        const each = ids.map(async (id) => {
          const query = visible(access, parent, [id], isOpen).selectAll('incidents');
          return [id, await fetchPage(query, NEWEST_FIRST, page, cursors)] as const;
        });
        return new Map(await Promise.all(each));
      }
      const found = await fetchFirstPages(
        db.read,
        visible(access, parent, ids, isOpen),
        NEWEST_FIRST,
        { column: parent, of: (row) => row[parent] },
        page.first,
        cursors,
      );
      return new Map(ids.map((id) => [id, found.get(id) ?? emptyPage<IncidentRow>(page)]));
    },

    async counts(access, parent, ids, isOpen) {
      const rows = await visible(access, parent, ids, isOpen)
        .select([`incidents.${parent} as parent`, (eb) => eb.fn.countAll<number>().as('total')])
        .groupBy(`incidents.${parent}`)
        .execute();
      return new Map(rows.flatMap(({ parent: id, total }) => (id === null ? [] : [[id, total] as const])));
    },
  };
}
