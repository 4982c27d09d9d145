import type { Logger } from 'pino';
import type { DeadLetterStage } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import type { Vault } from '../../storage/vault.ts';
import type { EventWriter } from '../process/event-writer.ts';
import type { Clock } from './clock.ts';
import type { IntegrationRuntime } from './runtime.ts';

/** What the integration service stands on. */
export interface IntegrationServiceDeps {
  readonly db: Database;
  readonly vault: Vault;
  readonly runtime: IntegrationRuntime;
  readonly events: EventWriter;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where a platform reaches us. */
  readonly webhookUrl: (integrationId: string) => string;
  /** Processes dead letters of these stages again; what still cannot be used stays. */
  readonly replay: (integrationId: string, stages: readonly DeadLetterStage[]) => Promise<unknown>;
}
