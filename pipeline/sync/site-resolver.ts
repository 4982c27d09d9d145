import type { Tx } from '../../storage/database.ts';
import type { SiteBindingRow } from '../../storage/rows.ts';

/** Our site of a vendor's site; null while it is not bound, or when two bindings could be meant. */
export type SiteResolver = (vendorOrgId: string, vendorSiteId: string) => string | null;

type Binding = Pick<SiteBindingRow, 'vendor_org_id' | 'vendor_site_id' | 'site_id'>;

/** Reads the bindings of an integration once, inside the transaction that uses them. */
export async function createSiteResolver(tx: Tx, integrationId: string): Promise<SiteResolver> {
  const bindings: readonly Binding[] = await tx
    .selectFrom('site_bindings')
    .select(['vendor_org_id', 'vendor_site_id', 'site_id'])
    .where('integration_id', '=', integrationId)
    .execute();
  const bySite = Map.groupBy(bindings, ({ vendor_site_id: site }) => site);
  return (vendorOrgId, vendorSiteId) => {
    // As events are resolved: platforms without accounts bind with an empty one, and some devices name only their site.
    const fitting = (bySite.get(vendorSiteId) ?? []).filter(
      ({ vendor_org_id: account }) => account === vendorOrgId || account === '' || vendorOrgId === '',
    );
    const exact = fitting.find(({ vendor_org_id: account }) => account === vendorOrgId);
    if (exact !== undefined) return exact.site_id;
    return fitting.length === 1 ? (fitting[0]?.site_id ?? null) : null;
  };
}
