import type { Credentials, Vendor } from '../../adapter-kit/define-vendor.ts';
import type { Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { lockIntegration, ringForEvents } from '../process/event-writer.ts';
import { findIntegration, notFound, writeRefusal } from './access.ts';
import { expectedSilence } from './create.ts';
import { readCredentials, storeCredentials } from './credentials.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import { parseCredentialsInput, parseName, parseSettingsInput } from './draft.ts';
import { readOwnSettings } from './own-settings.ts';
import type { IntegrationPayload, UpdateIntegrationInput } from './payloads.ts';
import type { ProbeReport } from '../../adapter-kit/adapter.ts';
import { probeDraft } from './probe.ts';
import { parseSettings } from './runtime.ts';
import { applyTransition } from './state.ts';
import { platformUserError, userError } from './user-errors.ts';
import { registerWebhook } from './webhook-registration.ts';

/** What is to change, found sound. */
interface Change {
  readonly name: string | null;
  readonly credentials: Credentials | null;
  readonly settings: { readonly text: string; readonly settings: unknown } | null;
  readonly enabled: boolean | null;
}

/** Renames, re-authorizes, reconfigures or switches an integration off and on; all of it or nothing. */
export async function updateIntegration(
  deps: IntegrationServiceDeps,
  principal: Principal,
  input: UpdateIntegrationInput,
): Promise<IntegrationPayload> {
  const refusal = writeRefusal(principal);
  if (refusal !== null) return failed([refusal]);
  const before = await findIntegration(deps.db, principal, input.id);
  if (before === null) return failed([notFound('integration', ['id'])]);
  if (typeof input.expectedVersion === 'number' && input.expectedVersion !== before.version) return conflict(before);
  const vendor = deps.runtime.vendors.get(before.vendor);
  if (vendor === undefined) {
    return failed([userError('NOT_SUPPORTED', 'Its vendor is not part of this deployment.', ['id'])]);
  }
  const parsed = parseChange(vendor, input);
  if ('errors' in parsed) return failed(parsed.errors);
  const { change } = parsed;
  let report: ProbeReport | null = null;
  if (change.credentials !== null || change.settings !== null) {
    const tested = await tryOut(deps, vendor, before, change);
    if (tested.errors.length > 0) return failed(tested.errors);
    ({ report } = tested);
  }
  const after = await store(deps, vendor, before, change, report);
  if (after === null) return conflict(before);
  ringForEvents(deps.db, after);
  const isReachableAgain = change.credentials !== null || change.settings !== null || change.enabled === true;
  if (isReachableAgain && after.enabled === 1 && after.webhook_native_id === null) {
    await registerWebhook(deps, after.id);
  }
  const row = await deps.db.read
    .selectFrom('integrations')
    .selectAll()
    .where('id', '=', after.id)
    .executeTakeFirstOrThrow();
  return { integration: row, webhookSecretOnce: null, userErrors: [] };
}

function parseChange(
  vendor: Vendor,
  input: UpdateIntegrationInput,
): { readonly change: Change } | { readonly errors: UserError[] } {
  const isGiven = (value: unknown): boolean => value !== null && value !== undefined;
  const name = isGiven(input.name) ? parseName(input.name ?? '') : { value: null };
  const credentials = isGiven(input.credentials) ? parseCredentialsInput(vendor, input.credentials) : { value: null };
  const settings = isGiven(input.settings) ? parseSettingsInput(vendor, input.settings) : { value: null };
  if ('errors' in name || 'errors' in credentials || 'errors' in settings) {
    return { errors: [name, credentials, settings].flatMap((part) => ('errors' in part ? part.errors : [])) };
  }
  return {
    change: {
      name: name.value,
      credentials: credentials.value,
      settings: settings.value,
      enabled: input.enabled ?? null,
    },
  };
}

async function tryOut(
  { db, vault, runtime, clock }: IntegrationServiceDeps,
  vendor: Vendor,
  row: IntegrationRow,
  change: Change,
): Promise<{ readonly errors: UserError[]; readonly report: ProbeReport | null }> {
  try {
    return await probeDraft(runtime, clock, {
      integrationId: row.id,
      vendor,
      baseUrl: row.base_url === null ? null : new URL(row.base_url),
      credentials: change.credentials ?? (await readCredentials(db.read, vault, row.id)),
      settings: change.settings?.settings ?? parseSettings(vendor, row.settings),
    });
  } catch (error) {
    // What is stored cannot be read: new credentials and settings together mend it.
    return { errors: [platformUserError(error)], report: null };
  }
}

/** @returns null when somebody else changed it meanwhile */
async function store(
  deps: IntegrationServiceDeps,
  vendor: Vendor,
  before: IntegrationRow,
  { name, credentials, settings, enabled }: Change,
  report: ProbeReport | null,
): Promise<IntegrationRow | null> {
  const { db, vault, clock } = deps;
  const now = clock.now();
  return db.write(async (tx) => {
    await lockIntegration(db, tx, before.id);
    const changed = await tx
      .updateTable('integrations')
      .set({
        version: before.version + 1,
        updated_at: now,
        ...(name === null ? {} : { name }),
        // Whoever gives credentials says whose inventory is wanted: another account than before is meant then.
        ...(report === null || report.accountId === null
          ? {}
          : { account_id: report.accountId, account_name: report.accountName }),
        ...(settings === null
          ? {}
          : {
              settings: settings.text,
              expected_silence_ms: expectedSilence(vendor.ingest, settings.settings),
              tolerance_seconds: readOwnSettings(settings.settings).webhookToleranceSeconds ?? before.tolerance_seconds,
            }),
      })
      .where('id', '=', before.id)
      .where('version', '=', before.version)
      .returning('id')
      .executeTakeFirst();
    if (changed === undefined) return null;
    if (credentials !== null) await storeCredentials(tx, vault, before.id, credentials, now);
    const isTested = credentials !== null || settings !== null;
    const moved = await applyTransition(
      tx,
      deps,
      before.id,
      { ...(enabled === null ? {} : { enabled }), ...(isTested ? { error: null } : {}) },
      'OPERATOR',
      now,
    );
    // After the log's numbers, as everybody who takes both does.
    await bumpOrgRevision(tx, before.org_id, now);
    return moved?.after ?? null;
  });
}

function conflict({ version }: IntegrationRow): IntegrationPayload {
  const hint = 'Read the integration again and repeat the change.';
  return failed([
    userError('CONFLICT', `Somebody else changed it; its version was ${version}.`, ['expectedVersion'], hint),
  ]);
}

function failed(userErrors: UserError[]): IntegrationPayload {
  return { integration: null, webhookSecretOnce: null, userErrors };
}
