import type { Principal } from '../../schema/principal.ts';
import type { IngestMode, UserError } from '../../schema/words.ts';
import type { IngestTraits } from '../../adapter-kit/define-vendor.ts';
import { bumpOrgRevision } from '../../storage/directory-store-write.ts';
import { newId } from '../../storage/ids.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import { notFound, seesOrg, writeRefusal } from './access.ts';
import { storeCredentials } from './credentials.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import { type IntegrationDraft, parseDraft, under } from './draft.ts';
import { readOwnSettings } from './own-settings.ts';
import type {
  CreateIntegrationInput,
  IntegrationInput,
  IntegrationPayload,
  TestIntegrationPayload,
} from './payloads.ts';
import { probeDraft, type ProbeOutcome } from './probe.ts';
import { userError } from './user-errors.ts';
import { registerWebhook } from './webhook-registration.ts';
import { makeWebhookSecret, readWebhookSecret, storeWebhookSecret } from './webhook-secrets.ts';

/** Longest idempotency key: part of a unique index. */
const MAX_KEY = 200;
/** What Standard Webhooks advises. */
const DEFAULT_TOLERANCE_SECONDS = 300;

/** How events of such a vendor reach us while everything is well. */
export function usualIngestMode({ webhooks, listens, listensByAsking = false, polls }: IngestTraits): IngestMode {
  if (!webhooks && (!listens || listensByAsking)) return 'POLL_ONLY';
  return polls ? 'PUSH_WITH_POLL_FALLBACK' : 'PUSH';
}

async function orgExists({ db }: IntegrationServiceDeps, orgId: string): Promise<boolean> {
  const row = await db.read.selectFrom('orgs').select('id').where('id', '=', orgId).executeTakeFirst();
  return row !== undefined;
}

/** Everything before the platform is asked. @returns paths from the integration's input */
async function checkInput(
  deps: IntegrationServiceDeps,
  principal: Principal,
  input: IntegrationInput,
): Promise<{ readonly draft: IntegrationDraft } | { readonly errors: UserError[] }> {
  const refusal = writeRefusal(principal);
  if (refusal !== null) return { errors: [refusal] };
  if (!seesOrg(principal, input.orgId) || !(await orgExists(deps, input.orgId))) {
    return { errors: [notFound('org', ['orgId'])] };
  }
  const parsed = parseDraft(deps.runtime.vendors.values(), input);
  return 'errors' in parsed ? parsed : { draft: parsed.value };
}

function probe({ runtime, clock }: IntegrationServiceDeps, id: string, draft: IntegrationDraft): Promise<ProbeOutcome> {
  return probeDraft(runtime, clock, { ...draft, integrationId: id });
}

export async function testIntegration(
  deps: IntegrationServiceDeps,
  principal: Principal,
  input: IntegrationInput,
): Promise<TestIntegrationPayload> {
  const checked = await checkInput(deps, principal, input);
  if ('errors' in checked) return { ok: false, checks: [], accountName: null, userErrors: checked.errors };
  const { report, errors } = await probe(deps, newId('int'), checked.draft);
  return { ok: errors.length === 0, checks: [...report.checks], accountName: report.accountName, userErrors: errors };
}

export async function createIntegration(
  deps: IntegrationServiceDeps,
  principal: Principal,
  { integration: input, idempotencyKey: key }: CreateIntegrationInput,
): Promise<IntegrationPayload> {
  const refusal = writeRefusal(principal);
  if (refusal !== null) return failed([refusal]);
  if (key.length === 0 || key.length > MAX_KEY || key.includes('\0')) {
    return failed([userError('INVALID', `Give a key of 1 to ${MAX_KEY} characters.`, ['idempotencyKey'])]);
  }
  if (seesOrg(principal, input.orgId)) {
    // Before anything else: the answer to a repetition does not depend on how the platform is by now.
    const before = await findByKey(deps, input.orgId, key);
    if (before !== null) return { integration: before, webhookSecretOnce: null, userErrors: [] };
  }
  const checked = await checkInput(deps, principal, input);
  if ('errors' in checked) return failed(under('integration', checked.errors));

  const id = newId('int');
  const tested = await probe(deps, id, checked.draft);
  if (tested.errors.length > 0) return failed(under('integration', tested.errors));

  const { isNew, id: storedId } = await store(deps, { id, key, orgId: input.orgId, draft: checked.draft, tested });
  if (isNew) await registerWebhook(deps, storedId);
  const row = await deps.db.read
    .selectFrom('integrations')
    .selectAll()
    .where('id', '=', storedId)
    .executeTakeFirstOrThrow();
  const secret = isNew ? await readWebhookSecret(deps.db, deps.vault, storedId) : null;
  // Wakes the worker that runs the first sync.
  deps.db.doorbell.ring(`integration:${storedId}`);
  deps.db.doorbell.ring(`org:${row.org_id}`);
  return { integration: row, webhookSecretOnce: secret, userErrors: [] };
}

async function findByKey({ db }: IntegrationServiceDeps, orgId: string, key: string): Promise<IntegrationRow | null> {
  const row = await db.read
    .selectFrom('integrations')
    .selectAll()
    .where('org_id', '=', orgId)
    .where('idempotency_key', '=', key)
    .executeTakeFirst();
  return row ?? null;
}

interface NewIntegration {
  readonly id: string;
  readonly key: string;
  readonly orgId: string;
  readonly draft: IntegrationDraft;
  readonly tested: ProbeOutcome;
}

/** @returns the integration that has the key, which is another one when somebody was faster */
async function store(
  { db, vault, clock }: IntegrationServiceDeps,
  { id, key, orgId, draft, tested }: NewIntegration,
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  const now = clock.now();
  const { vendor, signatureProfile } = draft;
  const own = readOwnSettings(draft.settings);
  return db.write(async (tx) => {
    const inserted = await tx
      .insertInto('integrations')
      .values({
        id,
        org_id: orgId,
        vendor: vendor.slug,
        name: draft.name,
        base_url: draft.baseUrl?.href ?? null,
        settings: draft.settingsText,
        state: 'PENDING',
        ingest_mode: usualIngestMode(vendor.ingest),
        signature_profile: signatureProfile,
        tolerance_seconds: own.webhookToleranceSeconds ?? DEFAULT_TOLERANCE_SECONDS,
        enabled: 1,
        version: 1,
        idempotency_key: key,
        account_id: tested.report.accountId,
        account_name: tested.report.accountName,
        webhook_native_id: null,
        last_webhook_at: null,
        last_event_at: null,
        last_sync_at: null,
        last_sync_state: null,
        error_code: null,
        error_message: null,
        expected_silence_ms: expectedSilence(vendor.ingest, draft.settings),
        resume_token: null,
        created_at: now,
        updated_at: now,
      })
      .onConflict((conflict) => conflict.columns(['org_id', 'idempotency_key']).doNothing())
      .returning('id')
      .executeTakeFirst();
    if (inserted === undefined) {
      const other = await tx
        .selectFrom('integrations')
        .select('id')
        .where('org_id', '=', orgId)
        .where('idempotency_key', '=', key)
        .executeTakeFirstOrThrow();
      return { id: other.id, isNew: false };
    }
    if (draft.credentials !== null) await storeCredentials(tx, vault, id, draft.credentials, now);
    if (signatureProfile !== null) {
      await storeWebhookSecret(tx, vault, id, makeWebhookSecret(signatureProfile), now);
    }
    await bumpOrgRevision(tx, orgId, now);
    return { id, isNew: true };
  });
}

/** Null for platforms that do not push, and for those that cannot be polled: nobody waits for them. */
export function expectedSilence(traits: IngestTraits, settings: unknown): number | null {
  if (usualIngestMode(traits) === 'POLL_ONLY') return null;
  return readOwnSettings(settings).expectedSilenceMs ?? traits.expectedSilenceMs;
}

function failed(userErrors: UserError[]): IntegrationPayload {
  return { integration: null, webhookSecretOnce: null, userErrors };
}
