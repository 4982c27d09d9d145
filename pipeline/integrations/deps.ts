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
  /** How a test delivery goes through our own front door and into the log; absent: there is none. */
  readonly selfTest?: {
    /** @param path from the root of our own address @returns the answer; rejects when nobody answers */
    readonly post: (
      path: string,
      headers: Readonly<Record<string, string>>,
      body: Uint8Array,
    ) => Promise<{ readonly status: number; readonly text: string }>;
    /** Processes what waits for the integration. */
    readonly process: (integrationId: string) => Promise<void>;
  };
  /** Processes dead letters of these stages again; what still cannot be used stays. */
  readonly replay: (integrationId: string, stages: readonly DeadLetterStage[]) => Promise<unknown>;
}
