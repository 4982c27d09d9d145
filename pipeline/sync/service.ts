import type { Principal } from '../../schema/principal.ts';
import type { UserError } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import type { SyncRunRow } from '../../storage/rows.ts';
import { findIntegration, notFound, writeRefusal } from '../integrations/access.ts';
import { userError } from '../integrations/user-errors.ts';
import { type SyncEngine, SyncRefusedError } from './engine.ts';

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

/** Longest idempotency key: part of a unique index. */
const MAX_KEY = 200;

export interface SyncServiceDeps {
  readonly db: Database;
  readonly engine: SyncEngine;
}

export function createSyncService({ db, engine }: SyncServiceDeps): SyncService {
  return {
    async syncIntegration(principal, { integrationId, idempotencyKey }, trigger = 'MANUAL') {
      const refusal = writeRefusal(principal);
      if (refusal !== null) return failed(refusal);
      if (idempotencyKey.length === 0 || idempotencyKey.length > MAX_KEY || idempotencyKey.includes('\0')) {
        return failed(userError('INVALID', `Give a key of 1 to ${MAX_KEY} characters.`, ['idempotencyKey']));
      }
      const integration = await findIntegration(db, principal, integrationId);
      if (integration === null) return failed(notFound('integration', ['integrationId']));
      // A person may try whether the vendor has mended the account; a program would try for ever.
      if (trigger === 'EXTERNAL' && integration.state === 'REAUTH_REQUIRED') {
        const hint = 'Give new credentials with updateIntegration.';
        return failed(
          userError('UNAUTHENTICATED_AT_PLATFORM', 'The platform refused our credentials.', ['integrationId'], hint),
        );
      }
      try {
        const { run } = await engine.start({ integrationId, trigger, idempotencyKey });
        return { run, userErrors: [] };
      } catch (error) {
        if (error instanceof SyncRefusedError) return failed(refused(error));
        throw error;
      }
    },
  };
}

function failed(error: UserError): SyncPayload {
  return { run: null, userErrors: [error] };
}

function refused({ code, message }: SyncRefusedError): UserError {
  switch (code) {
    case 'NOT_FOUND':
      return notFound('integration', ['integrationId']);
    case 'DISABLED':
      return userError('CONFLICT', message, ['integrationId'], 'Switch it on with updateIntegration.');
    case 'PUSH_ONLY':
      return userError('NOT_SUPPORTED', message, ['integrationId'], 'Have its adapter on site send the whole list.');
    case 'BUSY':
    case 'STOPPED':
      return userError('CONFLICT', message, ['integrationId'], 'Ask again with the same key.');
  }
}
