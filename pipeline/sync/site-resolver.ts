import type { Tx } from '../../storage/database.ts';

/** Our site of a vendor's site; null while it is not bound. */
export type SiteResolver = (vendorOrgId: string, vendorSiteId: string) => string | null;

/** Reads the bindings of an integration once, inside the transaction that uses them. */
export async function createSiteResolver(tx: Tx, integrationId: string): Promise<SiteResolver> {
  const bindings = await tx
    .selectFrom('site_bindings')
    .select(['vendor_org_id', 'vendor_site_id', 'site_id'])
    .where('integration_id', '=', integrationId)
    .execute();
  const key = (vendorOrgId: string, vendorSiteId: string): string => JSON.stringify([vendorOrgId, vendorSiteId]);
  const sites = new Map(bindings.map((row) => [key(row.vendor_org_id, row.vendor_site_id), row.site_id]));
  return (vendorOrgId, vendorSiteId) => sites.get(key(vendorOrgId, vendorSiteId)) ?? null;
}
