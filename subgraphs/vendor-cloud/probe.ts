import type { ProbeReport } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type ProbeFinding, type ProbeStep, runProbe } from '../../adapter-kit/probe.ts';
import { isUuid } from '../../schema/contract/fields.ts';
import type { ContractAccount, ContractDevice, ContractSite } from '../../schema/contract/records.ts';
import type { Authorization } from './auth.ts';
import type { VendorCloudClient } from './client.ts';
import { describeConflicts, siteConflicts } from './site-conflicts.ts';
import type { WirePage } from './wire.ts';

export interface ProbeSubject {
  readonly baseUrl: URL;
  /** What is not understood of the vendor's list of event types, for people; null when there is nothing to tell. */
  readonly unknownEvents: string | null;
  /** For vendors that have no account call. */
  readonly accountId: string | undefined;
  /** @throws AdapterError for an address that we do not connect to, or a TLS policy that cannot work */
  open(): { readonly client: VendorCloudClient; readonly authorization: Authorization };
}

/** What the calls of an integration came to; what was not reached is null. */
interface Findings {
  account: ContractAccount | null;
  sites: WirePage<ContractSite> | null;
  inventory: WirePage<ContractDevice> | null;
  /** The first call that failed, and everything after it was not made. */
  failure: { readonly step: 'credentials' | 'account' | 'sites' | 'inventory'; readonly error: AdapterError } | null;
}

/** The calls that an integration lives from, once each, until one fails. */
async function explore(subject: ProbeSubject, signal: AbortSignal): Promise<Findings> {
  const found: Findings = { account: null, sites: null, inventory: null, failure: null };
  const { accountId } = subject;
  const { client, authorization } = subject.open();
  let step: NonNullable<Findings['failure']>['step'] = 'credentials';
  try {
    await authorization.headers();
    step = 'account';
    found.account = accountId === undefined ? await client.account(signal) : { accountId, name: null, version: null };
    step = 'sites';
    found.sites = await client.sitesPage(1, signal);
    step = 'inventory';
    const [site] = found.sites.items;
    if (site !== undefined)
      found.inventory = await client.inventoryPage(site.value.siteId, found.account.accountId, 1, signal);
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error;
    found.failure = { step: error.code === 'UNAUTHENTICATED' ? 'credentials' : step, error };
  }
  return found;
}

/**
 * Tries what an integration needs, from the name of the host to the webhook API, without leaving anything behind. The
 * first call goes out without credentials: nobody but the platform itself is to see them.
 */
export async function probe(subject: ProbeSubject, signal: AbortSignal): Promise<ProbeReport> {
  let found: Findings = { account: null, sites: null, inventory: null, failure: null };

  /** Judges a step by what was found; the call that failed fails here, unless it is the permission that is missing. */
  function step(id: 'account' | 'sites' | 'inventory', title: string, judge: () => ProbeFinding): ProbeStep {
    return {
      id,
      title,
      run: async () => {
        if (found.failure?.step === id) throw found.failure.error;
        return judge();
      },
    };
  }

  const checks = await runProbe(
    subject.baseUrl,
    async () => subject.open().client.reach(signal),
    [
      {
        id: 'credentials',
        title: 'The platform takes the credentials',
        run: async () => {
          found = await explore(subject, signal);
          if (found.failure?.step === 'credentials') throw found.failure.error;
          return undefined;
        },
      },
      {
        id: 'permission',
        title: 'The credentials may read account, sites and inventory',
        run: async () => {
          if (found.failure?.error.code === 'FORBIDDEN') throw found.failure.error;
          return found.failure === null ? undefined : warn('not known: a call failed before');
        },
      },
      step('account', 'The account answers', () => pass(found.account?.name ?? null)),
      step('sites', 'The sites are listed', () =>
        judgeSites(found.sites?.items ?? [], found.sites?.totalCount ?? null),
      ),
      step('inventory', 'A page of inventory is listed', () => judgeInventory(found.inventory)),
      {
        id: 'site-records',
        title: 'Devices say of their site what it says itself',
        run: async () => judgeSiteRecords(found),
      },
      { id: 'ids', title: 'Ids are UUIDs', run: async () => judgeIds(found) },
      {
        id: 'event-types',
        title: 'The vendor’s event types are understood',
        run: async () => (subject.unknownEvents === null ? undefined : warn(subject.unknownEvents)),
      },
      {
        id: 'event-channel',
        title: 'Webhooks can be registered',
        run: () => judgeWebhooks(subject.open().client, signal),
      },
    ],
    signal,
  );
  return { checks, accountId: found.account?.accountId ?? null, accountName: found.account?.name ?? null };
}

function pass(detail: string | null): ProbeFinding {
  return { state: 'PASS', detail };
}

function warn(detail: string): ProbeFinding {
  return { state: 'WARN', detail };
}

function judgeSites(items: WirePage<ContractSite>['items'], totalCount: number | null): ProbeFinding {
  if (items.length === 0) return warn('the account has no sites yet');
  const count = `${totalCount ?? items.length} site(s)`;
  const bare = items.filter(({ value }) => value.address === null && value.coordinates === null).length;
  if (bare > 0) return warn(`${count}, ${bare} without address and coordinates`);
  const zoneless = items.filter(({ value }) => value.timezone === null).length;
  return zoneless > 0 ? warn(`${count}, ${zoneless} without an IANA time zone`) : pass(count);
}

function judgeInventory(page: WirePage<ContractDevice> | null): ProbeFinding {
  if (page === null) return warn('there is no site to list');
  const { items, rejected, totalCount } = page;
  const [unreadable] = rejected;
  if (unreadable !== undefined) return warn(`${rejected.length} device(s) cannot be read: ${unreadable.reason}`);
  if (totalCount === null) return warn('no total_count: completeness of a sync cannot be proven');
  const macless = items.filter(({ value }) => (value.macAddresses ?? []).length === 0).length;
  if (macless > 0) return warn(`${macless} of ${items.length} device(s) have no MAC address`);
  return pass(`${totalCount} device(s) at the first site`);
}

function judgeSiteRecords({ sites, inventory }: Findings): ProbeFinding {
  const [site] = sites?.items ?? [];
  if (site === undefined || inventory === null) return pass(null);
  const conflicts = siteConflicts(site.value, inventory.items);
  return conflicts.size === 0
    ? pass(null)
    : warn(`at the first site they differ in ${describeConflicts(conflicts)}; the record of the site counts`);
}

function judgeIds({ sites, inventory }: Findings): ProbeFinding {
  const ids = [
    ...(sites?.items ?? []).map(({ value }) => value.siteId),
    ...(inventory?.items ?? []).map(({ value }) => value.deviceId),
  ];
  const strange = ids.filter((id) => !isUuid(id)).length;
  return strange > 0 ? warn(`${strange} of ${ids.length} ids are not UUIDs`) : pass(null);
}

async function judgeWebhooks(client: VendorCloudClient, signal: AbortSignal): Promise<ProbeFinding> {
  try {
    return pass(`${(await client.webhooks(signal)).length} registered`);
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error;
    // Polling alone is good enough to begin with, so that this never stops an integration.
    return warn(
      error.code === 'NOT_SUPPORTED'
        ? 'no webhook API: enter our address and secret at the vendor by hand'
        : error.message,
    );
  }
}
