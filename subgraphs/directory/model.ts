import type { IntegrationRow, OrgRow, SiteRow } from '../../storage/rows.ts';
import type { Entry, Listing } from '../listing.ts';

// What resolvers are handed where it is not a row (see mappers.json).

export type OrgListing = Listing<OrgRow>;
export type OrgEntry = Entry<OrgRow>;
export type SiteListing = Listing<SiteRow>;
export type SiteEntry = Entry<SiteRow>;
export type IntegrationListing = Listing<IntegrationRow>;
export type IntegrationEntry = Entry<IntegrationRow>;

/** Something that another subgraph knows more of. */
export interface Reference {
  readonly id: string;
}

/** The platform behind an integration; the vendor's own subgraph resolves the rest. */
export interface PlatformStub {
  readonly __typename: string;
  readonly integrationId: string;
}
