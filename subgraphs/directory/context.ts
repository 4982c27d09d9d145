import type { IngestTraits } from '../../adapter-kit/define-vendor.ts';
import type { CostBudget, SubgraphRequest } from '../../schema/subgraph.ts';
import type { Principal } from '../../schema/principal.ts';
import type { Maintenance } from '../../pipeline/status/maintenance.ts';
import type { StatusPolicies } from '../../pipeline/status/policy-service.ts';
import type { VendorQuota } from '../../pipeline/integrations/quota.ts';
import type { IntegrationService } from '../../pipeline/integrations/service.ts';
import type { DirectoryStore } from '../../storage/directory-store.ts';
import { fault } from '../../schema/errors.ts';
import { requireScope } from '../require-scope.ts';
import { createDirectoryLoaders, type DirectoryLoaders } from './loaders.ts';

export interface DirectoryVendor {
  readonly slug: string;
  readonly enumValue: string;
  readonly graphqlName: string;
  /** `pushOnly`: there is nobody to ask live; `staleAfterMs`: its listings say no state. */
  readonly ingest?: Partial<Pick<IngestTraits, 'pushOnly' | 'syncIntervalMs' | 'staleAfterMs'>>;
}

/** What the directory's resolvers stand on; the same for all requests. */
export interface DirectoryServices {
  readonly store: DirectoryStore;
  readonly integrations: IntegrationService;
  readonly maintenance: Maintenance;
  readonly policies: StatusPolicies;
  readonly vendors: readonly DirectoryVendor[];
  /** Where platforms reach us: webhooks go to `<publicUrl>/webhooks/<integration id>`. */
  readonly publicUrl: URL;
  /** What is left of a platform's rate limit; null when nobody stated one. */
  readonly quotaOf: (integrationId: string) => VendorQuota | null;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One per request: its loaders are that request's view of the directory and die with the principal's permissions. */
export interface Context extends DirectoryServices {
  readonly principal: Principal;
  /** @throws GraphQLError INTERNAL_SERVER_ERROR when nobody counts what operations cost */
  budget(): CostBudget;
  /** @throws GraphQLError FORBIDDEN without `inventory:read` */
  read(): DirectoryLoaders;
}

export function createDirectoryContext(services: DirectoryServices, { principal, budget }: SubgraphRequest): Context {
  let loaders: DirectoryLoaders | undefined;
  return {
    ...services,
    principal,
    budget() {
      if (budget === undefined) throw fault('INTERNAL_SERVER_ERROR', 'Nobody counts what operations cost here.');
      return budget;
    },
    read() {
      requireScope(principal, 'inventory:read');
      return (loaders ??= createDirectoryLoaders(services.store, principal.access));
    },
  };
}
