import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Adapter, VendorAccount } from '../../adapter-kit/adapter.ts';
import type { Tx } from '../../storage/database.ts';
import type { IntegrationRow } from '../../storage/rows.ts';
import type { EventWriter } from '../process/event-writer.ts';
import { systemDraft } from '../process/system-draft.ts';

/** Another vendor account answers than the one that was connected: what it lists belongs to somebody else. */
export class AccountChangedError extends AdapterError {
  readonly account: VendorAccount;

  constructor(before: string, account: VendorAccount) {
    super(
      'MISCONFIGURED',
      `The credentials show account "${quoted(account.id)}" and were connected for "${quoted(before)}"; nothing was read and nothing removed`,
    );
    this.account = account;
  }
}

const MAX_QUOTED = 80;

function quoted(id: string): string {
  return id.replaceAll(/[\p{Cc}"]/gu, '?').slice(0, MAX_QUOTED);
}

/**
 * Asks whose inventory would be read, where the platform can tell. That it cannot be asked is no fault: the listing that
 * follows says what is wrong.
 *
 * @returns the account when none was known so far, to be noted; null otherwise
 * @throws AccountChangedError
 */
export async function checkAccount(
  adapter: Adapter,
  integration: IntegrationRow,
  signal: AbortSignal,
): Promise<VendorAccount | null> {
  if (adapter.readAccount === undefined) return null;
  const account = await adapter.readAccount(signal).catch((error: unknown) => {
    if (error instanceof AdapterError) return null;
    throw error;
  });
  if (account === null) return null;
  if (integration.account_id === null) return account;
  if (integration.account_id !== account.id) throw new AccountChangedError(integration.account_id, account);
  return null;
}

/** Notes the account of an integration that had none. */
export async function noteAccount(tx: Tx, integrationId: string, { id, name }: VendorAccount): Promise<void> {
  await tx
    .updateTable('integrations')
    .set({ account_id: id, ...(name === null ? {} : { account_name: name }) })
    .where('id', '=', integrationId)
    .where('account_id', 'is', null)
    .execute();
}

/** Tells it in the stream: once for the same change within the memory for repeated events, however often it is found. */
export async function tellAccountChanged(
  tx: Tx,
  events: Pick<EventWriter, 'writeItems'>,
  integration: IntegrationRow,
  { account, message }: AccountChangedError,
  now: number,
): Promise<void> {
  const draft = systemDraft({
    vendorEventId: `account changed from ${integration.account_id ?? ''} to ${account.id}`,
    type: 'system.account_changed',
    severity: 'CRITICAL',
    at: now,
    summary: `${integration.name}: ${message}`,
    detail: { accountId: account.id, previousAccountId: integration.account_id },
  });
  const item = { draft, origin: 'POLL', receivedAt: now, inboxId: null, clockSkewMs: null } as const;
  await events.writeItems(tx, integration, [{ ...item, countsAsDuplicate: false }]);
}
