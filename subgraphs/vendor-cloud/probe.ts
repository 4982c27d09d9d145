import type { ProbeCheck, ProbeReport } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { isUuid } from '../../schema/contract/fields.ts';
import type { Authorization } from './auth.ts';
import type { VendorCloudClient } from './client.ts';

const TITLES = {
  dns: 'The host name resolves',
  tcp: 'The host answers',
  tls: 'The certificate is good',
  credentials: 'The platform takes the credentials',
  permission: 'The credentials may read account, sites and inventory',
  account: 'The account answers',
  sites: 'The sites are listed',
  inventory: 'A page of inventory is listed',
  ids: 'Ids are UUIDs',
  'event-channel': 'Webhooks can be registered',
} as const;
type CheckId = keyof typeof TITLES;

interface Finding {
  readonly state: 'PASS' | 'WARN' | 'FAIL';
  readonly detail: string | null;
}

const PASS: Finding = { state: 'PASS', detail: null };

export interface ProbeSubject {
  readonly baseUrl: URL;
  /** For vendors that have no account call. */
  readonly accountId: string | undefined;
  /** @throws AdapterError for an address that we do not connect to, or a TLS policy that cannot work */
  open(): { readonly client: VendorCloudClient; readonly authorization: Authorization };
}

function failed(error: AdapterError): Finding {
  return { state: 'FAIL', detail: error.message };
}

/** Where a call broke, as the name of the check that it breaks. */
function checkOf(error: AdapterError, step: CheckId): CheckId {
  if (error.code === 'BLOCKED_ADDRESS') return 'tcp';
  if (error.layer === 'dns' || error.layer === 'tcp' || error.layer === 'tls') return error.layer;
  if (error.code === 'UNAUTHENTICATED') return 'credentials';
  return error.code === 'FORBIDDEN' ? 'permission' : step;
}

/**
 * Tries what an integration needs, from the name of the host to the webhook API, without leaving anything behind. The
 * first call goes out without credentials: nobody but the platform itself is to see them.
 */
export async function probe(subject: ProbeSubject, signal: AbortSignal): Promise<ProbeReport> {
  const found = new Map<CheckId, Finding>();
  let account: { accountId: string | null; accountName: string | null } = { accountId: null, accountName: null };
  let step: CheckId = 'tcp';
  try {
    const { client, authorization } = subject.open();
    await client.reach(signal);
    found.set('dns', PASS).set('tcp', PASS);
    found.set(
      'tls',
      subject.baseUrl.protocol === 'https:'
        ? PASS
        : { state: 'WARN', detail: 'the address begins with http: whoever listens on the way can read everything' },
    );
    step = 'credentials';
    await authorization.headers();
    step = 'account';
    account = await probeAccount(client, subject.accountId, signal, found);
    step = 'sites';
    const siteId = await probeSites(client, signal, found);
    step = 'inventory';
    await probeInventory(client, siteId, account.accountId ?? '', signal, found);
    found.set('credentials', PASS).set('permission', PASS);
    step = 'event-channel';
    found.set(step, await probeWebhooks(client, signal));
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error;
    settle(found, checkOf(error, step), error);
  }
  return { checks: report(found), ...account };
}

/** Everything before the failed check was good, or the call would not have come so far. */
function settle(found: Map<CheckId, Finding>, broken: CheckId, error: AdapterError): void {
  const order: readonly string[] = Object.keys(TITLES);
  for (const id of ['dns', 'tcp', 'tls', 'credentials', 'permission'] as const) {
    if (order.indexOf(id) < order.indexOf(broken) && !found.has(id)) found.set(id, PASS);
  }
  found.set(broken, failed(error));
}

/** In order; nothing after a failure counts, even if it was tried. */
function report(found: ReadonlyMap<string, Finding>): readonly ProbeCheck[] {
  let isBroken = false;
  const checks: ProbeCheck[] = [];
  for (const [id, title] of Object.entries(TITLES)) {
    const finding = found.get(id);
    if (isBroken || finding === undefined) {
      checks.push({ id, title, state: 'SKIPPED', detail: null });
      continue;
    }
    isBroken = finding.state === 'FAIL';
    checks.push({ id, title, ...finding });
  }
  return checks;
}

async function probeAccount(
  client: VendorCloudClient,
  accountId: string | undefined,
  signal: AbortSignal,
  found: Map<CheckId, Finding>,
) {
  if (accountId !== undefined) {
    found.set('account', { state: 'PASS', detail: 'taken from the settings' });
    return { accountId, accountName: null };
  }
  const account = await client.account(signal);
  found.set('account', { state: 'PASS', detail: account.name });
  return { accountId: account.accountId, accountName: account.name };
}

async function probeSites(client: VendorCloudClient, signal: AbortSignal, found: Map<CheckId, Finding>) {
  const { items, totalCount } = await client.sitesPage(1, signal);
  const bare = items.filter(({ value }) => value.address === null && value.coordinates === null);
  const zoneless = items.filter(({ value }) => value.timezone === null);
  const strange = items.filter(({ value }) => !isUuid(value.siteId));
  const count = `${totalCount ?? items.length} site(s)`;
  if (items.length === 0) found.set('sites', { state: 'WARN', detail: 'the account has no sites yet' });
  else if (bare.length > 0)
    found.set('sites', { state: 'WARN', detail: `${count}, ${bare.length} without address and coordinates` });
  else if (zoneless.length > 0)
    found.set('sites', { state: 'WARN', detail: `${count}, ${zoneless.length} without an IANA time zone` });
  else found.set('sites', { state: 'PASS', detail: count });
  found.set('ids', strange.length > 0 ? { state: 'WARN', detail: `${strange.length} site id(s) are not UUIDs` } : PASS);
  return items[0]?.value.siteId ?? null;
}

async function probeInventory(
  client: VendorCloudClient,
  siteId: string | null,
  accountId: string,
  signal: AbortSignal,
  found: Map<CheckId, Finding>,
): Promise<void> {
  if (siteId === null) {
    found.set('inventory', { state: 'WARN', detail: 'there is no site to list' });
    return;
  }
  const { items, rejected, totalCount } = await client.inventoryPage(siteId, accountId, 1, signal);
  const macless = items.filter(({ value }) => (value.macAddresses ?? []).length === 0).length;
  const [firstRejected] = rejected;
  if (firstRejected !== undefined)
    found.set('inventory', {
      state: 'WARN',
      detail: `${rejected.length} device(s) cannot be read: ${firstRejected.reason}`,
    });
  else if (totalCount === null)
    found.set('inventory', { state: 'WARN', detail: 'no total_count: completeness of a sync cannot be proven' });
  else if (macless > 0)
    found.set('inventory', { state: 'WARN', detail: `${macless} of ${items.length} device(s) have no MAC address` });
  else found.set('inventory', { state: 'PASS', detail: `${totalCount} device(s) at the first site` });
  const strange = items.filter(({ value }) => !isUuid(value.deviceId)).length;
  if (strange > 0) found.set('ids', { state: 'WARN', detail: `${strange} device id(s) are not UUIDs` });
}

async function probeWebhooks(client: VendorCloudClient, signal: AbortSignal): Promise<Finding> {
  try {
    const webhooks = await client.webhooks(signal);
    return { state: 'PASS', detail: `${webhooks.length} registered` };
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error;
    // Polling alone is good enough to begin with, so that this never stops an integration.
    if (error.code === 'NOT_SUPPORTED')
      return { state: 'WARN', detail: 'no webhook API: enter our address and secret at the vendor by hand' };
    return { state: 'WARN', detail: error.message };
  }
}
