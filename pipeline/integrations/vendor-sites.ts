import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { SiteDraft } from '../../adapter-kit/model.ts';
import { platformFault } from '../../adapter-kit/platform-fault.ts';
import { fault } from '../../schema/errors.ts';
import { hasScope, type Principal } from '../../schema/principal.ts';
import { visibleAtSite } from '../../storage/access-conditions.ts';
import { findIntegration } from './access.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import type { VendorSiteItem } from './payloads.ts';
import { asAdapterError } from './user-errors.ts';

/** All sites of an account, page by page: longer than a live read, short enough to wait for. */
const SITES_DEADLINE_MS = 15_000;

/** Asks the platform for its sites. @throws AdapterError */
export async function listVendorSites(
  { runtime, clock }: Pick<IntegrationServiceDeps, 'runtime' | 'clock'>,
  integrationId: string,
): Promise<readonly SiteDraft[]> {
  const late = new AdapterError(
    'TIMEOUT',
    `The platform did not list its sites within ${SITES_DEADLINE_MS / 1_000} seconds`,
  );
  const controller = new AbortController();
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(SITES_DEADLINE_MS, () => {
    reject(late);
    controller.abort(late);
  });
  try {
    return await runtime.use(integrationId, ({ adapter }) =>
      Promise.race([adapter.listSites(controller.signal), deadline]),
    );
  } catch (error) {
    throw asAdapterError(error);
  } finally {
    cancel();
  }
}

export async function vendorSites(
  deps: IntegrationServiceDeps,
  principal: Principal,
  integrationId: string,
): Promise<readonly VendorSiteItem[]> {
  if (!hasScope(principal, 'inventory:read')) {
    throw fault('FORBIDDEN', 'This needs the scope inventory:read.', { requiredScope: 'inventory:read' });
  }
  const integration = await findIntegration(deps.db, principal, integrationId);
  if (integration === null) throw fault('BAD_USER_INPUT', 'There is no such integration.');
  let listed: readonly SiteDraft[];
  try {
    listed = await listVendorSites(deps, integrationId);
  } catch (error) {
    throw platformFault(error, integrationId);
  }
  const bindings = await deps.db.read
    .selectFrom('site_bindings')
    .select(['vendor_org_id', 'vendor_site_id', 'site_id'])
    .where('integration_id', '=', integrationId)
    .where(visibleAtSite(principal.access, 'site_bindings'))
    .execute();
  const siteIds = [...new Set(bindings.map(({ site_id: id }) => id))];
  const sites =
    siteIds.length === 0 ? [] : await deps.db.read.selectFrom('sites').selectAll().where('id', 'in', siteIds).execute();
  const byId = new Map(sites.map((site) => [site.id, site]));
  const items = listed.map((site): VendorSiteItem => {
    const binding = bindings.find(
      (row) =>
        row.vendor_site_id === site.nativeId && (row.vendor_org_id === site.nativeOrgId || row.vendor_org_id === ''),
    );
    return {
      vendorOrgId: site.nativeOrgId,
      vendorSiteId: site.nativeId,
      name: site.name,
      address: site.address,
      timezone: site.timezone,
      deviceCount: site.deviceCount,
      boundTo: binding === undefined ? null : (byId.get(binding.site_id) ?? null),
    };
  });
  // The other sites of the account are none of the business of a principal that is limited to some.
  return principal.access.siteIds === null ? items : items.filter(({ boundTo }) => boundTo !== null);
}
