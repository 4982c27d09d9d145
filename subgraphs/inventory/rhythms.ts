import type DataLoader from 'dataloader';
import type { AccessScope } from '../../schema/principal.ts';
import { whollyVisibleIntegration } from '../../storage/access-conditions.ts';
import type { Database } from '../../storage/database.ts';
import { createValueLoader } from '../batch-loaders.ts';

/** How often devices of one type at one integration are heard. */
export interface RhythmItem {
  readonly deviceType: string;
  readonly samples: number;
  readonly expectedSilence: number | null;
  readonly updatedAt: number;
}

/** What one principal sees of the rhythms that were learned, read in batches. */
export interface RhythmLoaders {
  /** By type; null to who does not see all of the integration's sites. */
  readonly rhythms: DataLoader<string, readonly RhythmItem[] | null>;
}

export function createRhythmLoaders({ read }: Pick<Database, 'read'>, access: AccessScope): RhythmLoaders {
  return {
    rhythms: createValueLoader(async (ids) => {
      // One row at least of each integration that is seen: those of which nothing was learned are seen as well.
      const rows = await read
        .selectFrom('integrations')
        .leftJoin('rhythms', 'rhythms.integration_id', 'integrations.id')
        .select([
          'integrations.id',
          'rhythms.type as deviceType',
          'rhythms.samples',
          'rhythms.limit_ms as expectedSilence',
          'rhythms.updated_at as updatedAt',
        ])
        .where(whollyVisibleIntegration(access))
        .where('integrations.id', 'in', ids)
        .orderBy('rhythms.type')
        .execute();
      const found = new Map<string, RhythmItem[]>();
      for (const { id, deviceType, samples, expectedSilence, updatedAt } of rows) {
        const own = found.get(id) ?? [];
        found.set(id, own);
        if (deviceType === null || samples === null || updatedAt === null) continue;
        own.push({ deviceType, samples, expectedSilence, updatedAt });
      }
      return found;
    }, null),
  };
}
