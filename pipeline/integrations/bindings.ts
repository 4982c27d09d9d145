import type { SiteDraft } from '../../adapter-kit/model.ts';
import type { Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import type { Tx } from '../../storage/database.ts';
import { insertSite } from '../../storage/directory-store-write.ts';
import { newId } from '../../storage/ids.ts';
import type { IntegrationRow, SiteBindingRow } from '../../storage/rows.ts';
import { lockIntegration, ringForEvents } from '../process/event-writer.ts';
import { rebindDevices } from '../sync/rebind.ts';
import { findIntegration, notFound, seesOrg, writeRefusal } from './access.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import type { BindSiteInput, BindSitePayload, DeletePayload, UnbindSiteInput } from './payloads.ts';
import { platformUserError, userError } from './user-errors.ts';
import { listVendorSites } from './vendor-sites.ts';

/** Longest id that a vendor gives to an account or a site. */
const MAX_VENDOR_ID = 300;
/** How long the answer waits for the replay; what takes longer goes on behind it. */
const REPLAY_WAIT_MS = 2_000;

/** Where a vendor's site is to go: to one of ours, or to a new one. */
type Target = { readonly siteId: string } | { readonly create: SiteDraft };

export async function bindSite(
  deps: IntegrationServiceDeps,
  principal: Principal,
  input: BindSiteInput,
): Promise<BindSitePayload> {
  const refusal = writeRefusal(principal) ?? inputProblem(input);
  if (refusal !== null) return failed(refusal);
  const integration = await findIntegration(deps.db, principal, input.integrationId);
  if (integration === null) return failed(notFound('integration', ['integrationId']));

  const draft = await findVendorSite(deps, integration, input);
  if ('error' in draft) return failed(draft.error);
  let target: Target;
  if (typeof input.siteId === 'string') {
    if (!(await isSiteOf(deps, integration.org_id, input.siteId))) return failed(notFound('site', ['siteId']));
    target = { siteId: input.siteId };
  } else if (draft.site === null) {
    return failed(notFound('vendor site', ['vendorSiteId']));
  } else {
    target = { create: draft.site };
  }

  const { binding, isNew } = await deps.db.write((tx) => store(deps, tx, integration, input, target, draft.site));
  if (!isNew) {
    if ('create' in target || binding.site_id === target.siteId) return { binding, userErrors: [] };
    const hint = 'Untie it with unbindSite first.';
    return failed(userError('CONFLICT', 'This vendor site is bound to another site.', ['vendorSiteId'], hint));
  }
  ringForEvents(deps.db, integration);
  await replaySoon(deps, integration.id);
  return { binding, userErrors: [] };
}

function inputProblem({ siteId, createSite, vendorOrgId, vendorSiteId }: BindSiteInput): UserError | null {
  const hasSite = typeof siteId === 'string';
  if (hasSite === (createSite === true)) {
    return userError('INVALID', 'Give either `siteId` or `createSite: true`.', ['siteId']);
  }
  const isSound = (id: string): boolean => id.length <= MAX_VENDOR_ID && !id.includes('\0');
  if (!isSound(vendorOrgId)) return userError('INVALID', 'This is no id of an account.', ['vendorOrgId']);
  if (vendorSiteId === '' || !isSound(vendorSiteId)) {
    return userError('INVALID', 'This is no id of a site.', ['vendorSiteId']);
  }
  return null;
}

async function isSiteOf({ db }: IntegrationServiceDeps, orgId: string, siteId: string): Promise<boolean> {
  const row = await db.read
    .selectFrom('sites')
    .select('id')
    .where('id', '=', siteId)
    .where('org_id', '=', orgId)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * The vendor's site as the platform tells it. A site of ours can be bound while the platform is down, on the operator's
 * word; a new one cannot be made from nothing.
 */
async function findVendorSite(
  deps: IntegrationServiceDeps,
  { id }: IntegrationRow,
  { vendorOrgId, vendorSiteId, siteId }: BindSiteInput,
): Promise<{ readonly site: SiteDraft | null } | { readonly error: UserError }> {
  try {
    const sites = await listVendorSites(deps, id);
    const site = sites.find(({ nativeId, nativeOrgId }) => nativeId === vendorSiteId && nativeOrgId === vendorOrgId);
    return site === undefined ? { error: notFound('vendor site', ['vendorSiteId']) } : { site };
  } catch (error) {
    return typeof siteId === 'string' ? { site: null } : { error: platformUserError(error) };
  }
}

async function store(
  { db, clock }: IntegrationServiceDeps,
  tx: Tx,
  integration: IntegrationRow,
  { vendorOrgId, vendorSiteId }: BindSiteInput,
  target: Target,
  draft: SiteDraft | null,
): Promise<{ readonly binding: SiteBindingRow; readonly isNew: boolean }> {
  const now = clock.now();
  await lockIntegration(db, tx, integration.id);
  const before = await tx
    .selectFrom('site_bindings')
    .selectAll()
    .where('integration_id', '=', integration.id)
    .where('vendor_org_id', '=', vendorOrgId)
    .where('vendor_site_id', '=', vendorSiteId)
    .executeTakeFirst();
  if (before !== undefined) return { binding: before, isNew: false };
  const siteId = 'siteId' in target ? target.siteId : (await createSite(tx, integration, target.create, now)).id;
  const binding: SiteBindingRow = {
    id: newId('bind'),
    org_id: integration.org_id,
    integration_id: integration.id,
    vendor_org_id: vendorOrgId,
    vendor_site_id: vendorSiteId,
    vendor_site_name: draft?.name ?? null,
    site_id: siteId,
    created_at: now,
  };
  await tx.insertInto('site_bindings').values(binding).execute();
  await rebindDevices(tx, { db, integration, now }, vendorSiteId);
  return { binding, isNew: true };
}

function createSite(tx: Tx, integration: IntegrationRow, draft: SiteDraft, now: number) {
  return insertSite(
    tx,
    {
      orgId: integration.org_id,
      name: draft.name.trim() === '' ? draft.nativeId : draft.name,
      address: draft.address,
      coordinates: draft.coordinates,
      timezone: draft.timezone,
      externalIds: [{ namespace: `${integration.vendor}:site-id`, value: draft.nativeId }],
    },
    now,
  );
}

/** What waited for the binding is processed now; whoever asks waits a moment for it, not for ever. */
async function replaySoon({ replay, clock, logger }: IntegrationServiceDeps, integrationId: string): Promise<void> {
  const replayed = replay(integrationId, ['BINDING']).catch((error: unknown) => {
    logger.error({ err: error, integrationId }, 'Dead letters could not be replayed after a binding');
  });
  const { promise: waited, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(REPLAY_WAIT_MS, resolve);
  await Promise.race([replayed, waited]);
  cancel();
}

export async function unbindSite(
  deps: IntegrationServiceDeps,
  principal: Principal,
  { id }: UnbindSiteInput,
): Promise<DeletePayload> {
  const refusal = writeRefusal(principal);
  if (refusal !== null) return { deletedId: null, userErrors: [refusal] };
  const { db, clock } = deps;
  const found = await db.read.selectFrom('site_bindings').selectAll().where('id', '=', id).executeTakeFirst();
  const binding = found !== undefined && seesOrg(principal, found.org_id) ? found : null;
  const integration = binding === null ? null : await findIntegration(db, principal, binding.integration_id);
  if (binding === null || integration === null) return { deletedId: null, userErrors: [notFound('binding', ['id'])] };
  await db.write(async (tx) => {
    await lockIntegration(db, tx, integration.id);
    await tx.deleteFrom('site_bindings').where('id', '=', id).execute();
    await rebindDevices(tx, { db, integration, now: clock.now() }, binding.vendor_site_id);
  });
  ringForEvents(db, integration);
  return { deletedId: id, userErrors: [] };
}

function failed(error: UserError): BindSitePayload {
  return { binding: null, userErrors: [error] };
}
