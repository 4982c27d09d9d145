// What the tests of this folder stand on: a simulated system, adapters for it, its controls.
import { pino } from 'pino';
import type { Adapter, ListenItem } from '../../adapter-kit/adapter.ts';
import { createHttpClientFactory } from '../../adapter-kit/http/create-http-client.ts';
import type { DeviceDraft, DecodeContext } from '../../adapter-kit/model.ts';
import { createOnGuardAdapter } from './adapter.ts';
import { type ListenTiming, USUAL_TIMING } from './listen.ts';
import { OnGuardSettings } from './settings.ts';
import { type OnGuardSimulator, startSimulator } from './simulator.ts';

export interface Rig {
  readonly simulator: OnGuardSimulator;
  /** Moves both clocks. */
  advance(ms: number): void;
  open(settings?: object, over?: { readonly password?: string; readonly timing?: Partial<ListenTiming> }): Adapter;
  settings(over?: object): OnGuardSettings;
  /** What was logged so far. */
  readonly logged: () => readonly Record<string, unknown>[];
  post(path: string, body: object): Promise<unknown>;
  get(path: string): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

export interface RigOptions {
  readonly devices?: number;
  readonly sites?: number;
  readonly stateFile?: string | null;
  readonly port?: number;
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  let skewMs = 0;
  const now = (): Date => new Date(Date.now() + skewMs);
  const simulator = await startSimulator({
    seed: 5,
    accountId: 'account-1',
    accountName: 'Test',
    sites: Array.from({ length: options.sites ?? 2 }, (_, index) => ({
      name: `Site ${index + 1}`,
      address: '',
      timezone: 'America/Chicago',
    })),
    devices: options.devices ?? 44,
    port: options.port ?? 0,
    stateFile: options.stateFile ?? null,
    now,
  });
  const logged: Record<string, unknown>[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const http = createHttpClientFactory({
    network: { allow: ['127.0.0.0/8'], allowHttp: true },
    logger,
    now,
    random: () => 0,
  });
  const adapters: Adapter[] = [];
  const settings = (over: object = {}): OnGuardSettings =>
    OnGuardSettings.parse({ ...simulator.integration.settings, ...over });
  const call = async (path: string, init?: RequestInit): Promise<unknown> => {
    const answer = await fetch(new URL(path, simulator.url), init);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  return {
    simulator,
    settings,
    logged: () => logged,
    advance: (ms) => {
      skewMs += ms;
    },
    open(over = {}, { password, timing = {} } = {}) {
      const { username, password: right } = Object(simulator.integration.credentials['basic']);
      const adapter = createOnGuardAdapter(
        {
          integrationId: 'int_1',
          baseUrl: new URL(simulator.integration.baseUrl),
          credentials: { kind: 'basic', username: String(username), password: password ?? String(right) },
          settings: settings(over),
          http,
          logger,
          now,
        },
        { ...USUAL_TIMING, ...timing },
      );
      adapters.push(adapter);
      return adapter;
    },
    post: (path, body) => call(path, { method: 'POST', body: JSON.stringify(body) }),
    get: async (path) => Object(await call(path)),
    async stop() {
      await Promise.all(adapters.map((adapter) => adapter.close()));
      await simulator.close();
    },
  };
}

export const never = (): AbortSignal => new AbortController().signal;

export async function listAll(adapter: Adapter): Promise<ReadonlyMap<string, DeviceDraft>> {
  const pages = await Array.fromAsync(adapter.listDevices(never()));
  return new Map(pages.flatMap(({ devices }) => devices).map((device) => [device.nativeId, device]));
}

export function refs(...nativeIds: readonly string[]) {
  return nativeIds.map((nativeId) => ({ nativeId, nativeOrgId: '', nativeSiteId: '1' }));
}

export function contextOf(settings: OnGuardSettings): DecodeContext {
  return { settings, onlySite: null, profile: null };
}

/** A listener as a worker runs it, and what it has brought. */
export interface Ear {
  readonly items: readonly ListenItem[];
  /** The first item that fits. @throws what ended the listener before one came */
  until(fits: (item: ListenItem) => boolean): Promise<ListenItem>;
  /** What ended it; null: it was told to stop. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

export function listenTo(adapter: Adapter, resumeToken: string | null = null): Ear {
  const items: ListenItem[] = [];
  const stopped = new AbortController();
  const looks = new Set<() => void>();
  let failure: unknown = null;
  let isOver = false;
  const ended = (async () => {
    try {
      for await (const item of adapter.listen?.(resumeToken, stopped.signal) ?? []) {
        items.push(item);
        for (const look of [...looks]) look();
      }
    } catch (error) {
      failure = error;
    }
    isOver = true;
    for (const look of [...looks]) look();
    return failure;
  })();
  return {
    items,
    ended,
    until(fits) {
      const { promise, resolve, reject } = Promise.withResolvers<ListenItem>();
      const look = (): void => {
        const found = items.find(fits);
        if (found !== undefined) resolve(found);
        else if (isOver) reject(failure ?? new Error('the listener ended'));
        else return;
        looks.delete(look);
      };
      looks.add(look);
      look();
      return promise;
    },
    async stop() {
      stopped.abort();
      await ended;
    },
  };
}

export function textOf(item: ListenItem): string {
  return Buffer.from(item.message.body).toString('utf8');
}
