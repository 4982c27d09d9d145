/** A device as the simulated platform has it: the truth that tests compare with. */
export interface SimulatedDevice {
  readonly nativeId: string;
  readonly name: string;
  /** The platform's own word for the kind. */
  readonly type: string;
  readonly state: 'online' | 'offline';
  readonly siteId: string;
  readonly accountId: string;
}

/** What the sandbox wants a platform to contain. Equal seeds make equal platforms. */
export interface SimulatorOptions {
  readonly seed: number;
  readonly accountId: string;
  readonly accountName: string;
  /** The sites to have, in the vendor's own ids as it makes them from the seed. */
  readonly sites: readonly { readonly name: string; readonly address: string; readonly timezone: string }[];
  readonly devices: number;
  /** 0: any free port. */
  readonly port: number;
  /** File that keeps switched states over restarts; null: forget. */
  readonly stateFile: string | null;
  readonly now: () => Date;
}

/**
 * A platform that speaks its real wire protocol on loopback. Beside it, on the same base URL, it answers
 * `GET /_sim/devices`, `POST /_sim/devices/{nativeId}` `{ "state" }`, `POST /_sim/outage` `{ "seconds" }` (0 ends it), and
 * `POST /_sim/faults` with the vendor's own switches (see its README).
 */
export interface Simulator {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  /** What an operator would type to connect to it: the API's IntegrationInput without orgId and name. */
  readonly integration: {
    readonly baseUrl: string;
    readonly credentials: Readonly<Record<string, unknown>>;
    readonly settings: Readonly<Record<string, unknown>>;
    readonly signatureProfile: string | null;
  };
  readonly devices: () => readonly SimulatedDevice[];
  /** The platform's sites in its own ids, in the order of the options. */
  readonly sites: () => readonly { readonly nativeOrgId: string; readonly nativeId: string; readonly name: string }[];
  /** What an operator does in the vendor's portal where no webhook API exists: enters our address and secret. */
  connectWebhook(target: { readonly url: string; readonly profile: string; readonly secret: string }): void;
  setState(nativeId: string, state: 'online' | 'offline'): void;
  /** How many calls the platform has answered or refused so far, `/_sim/` not counted: what batching is measured by. */
  calls?(): number;
  /**
   * From now on the platform says these words of the device, as a firmware would that is newer than our tables, and it
   * reports a change of state in its own way. Members that are absent go back to the usual words.
   */
  setWords?(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
  /** A gentle stream of real changes, one every so many milliseconds, until the platform is closed; 0 stops it. */
  startTraffic?(options: { readonly everyMs: number }): void;
  close(): Promise<void>;
}

export interface SimulatorModule {
  startSimulator(options: SimulatorOptions): Promise<Simulator>;
}
