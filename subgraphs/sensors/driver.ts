import type { Logger } from 'pino';
import type { Catalogue, Listed } from './catalogue.ts';
import type { Connections } from './client.ts';
import type { Sink } from './sink.ts';
import type { Source } from './settings.ts';

/** One way of speaking to one source. */
export interface Driver {
  readonly source: Source;
  /**
   * Its devices and how they are now.
   *
   * @param wanted only these are needed; null: all
   * @throws AdapterError
   */
  survey(wanted: ReadonlySet<string> | null, signal: AbortSignal): Promise<readonly Listed[]>;
  /**
   * Holds the connection until it is lost, or the signal fires. Absent for sources that push to us.
   *
   * @param onUp the connection stands
   * @throws AdapterError
   */
  listen?(sink: Sink, onUp: () => void, signal: AbortSignal): Promise<void>;
  /**
   * Its devices when it cannot be reached, where the operator listed them: the gateway is offline, what is behind it is
   * not known. Absent where only the source itself knows its devices.
   */
  fallen?(code: string): { readonly device: Listed; readonly children: readonly Listed[] };
  /** Gives back what only it holds. */
  close(): void;
}

export interface DriverParts {
  readonly integrationId: string;
  readonly catalogue: Catalogue;
  readonly connections: Connections;
  readonly logger: Logger;
  readonly now: () => Date;
}
