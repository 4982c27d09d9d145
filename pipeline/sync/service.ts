import type { Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import type { SyncRunRow } from '../../storage/rows.ts';

export interface SyncIntegrationInput {
  readonly integrationId: string;
  /** Unique per integration, 1 to 200 characters. */
  readonly idempotencyKey: string;
}

export interface SyncPayload {
  readonly run: SyncRunRow | null;
  readonly userErrors: UserError[];
}

/** Syncs that somebody asks for. */
export interface SyncService {
  /**
   * Starts a run and answers with it while it is RUNNING; the same key again answers with the same run. Needs
   * `integrations:write`; checks the principal as IntegrationService does.
   *
   * @param trigger MANUAL for the mutation, EXTERNAL for a call of another system over HTTP
   */
  syncIntegration(
    principal: Principal,
    input: SyncIntegrationInput,
    trigger?: 'MANUAL' | 'EXTERNAL',
  ): Promise<SyncPayload>;
}
