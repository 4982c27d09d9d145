/**
 * Live states. OnGuard answers from a cache that is as old as somebody's last question, so that a panel is told to refresh
 * it first; then panel, readers and boards are asked one by one: there is no call for several. What hangs on a panel that
 * is down is not asked.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { abandoned, AdapterError } from '../../adapter-kit/adapter-error.ts';
import { mapConcurrent } from '../../adapter-kit/map-concurrent.ts';
import type { OnGuardClient } from './client.ts';
import type { Instance } from './inventory.ts';
import { boolOf } from './properties.ts';
import {
  DISABLED,
  type HardwareStatus,
  inheritedStatus,
  PARENT_DOWN,
  readStatus,
  UNTOLD_STATUS,
} from './status-words.ts';

/** Panels whose refresh is waited for at once; the calls that are under way at the server are bounded by the client. */
const PANELS_AT_ONCE = 64;
const DEVICES_AT_ONCE = 4;

/** Faults of one device; all others are faults of the platform and end the reading. */
const OF_THE_DEVICE: ReadonlySet<string> = new Set(['BAD_PAYLOAD', 'NOT_SUPPORTED', 'FORBIDDEN']);

/** A panel with what of it is wanted. */
export interface PanelGroup {
  /** Null: the panel is not to be seen by this account. */
  readonly panel: Instance | null;
  readonly readers: readonly Instance[];
  readonly boards: readonly Instance[];
  /** Inputs, outputs and cameras. */
  readonly others: readonly Instance[];
}

export interface StatusReaderOptions {
  readonly client: OnGuardClient;
  readonly settleMs: number;
  /** Waits until another call may go out; absent: no limit. */
  readonly pace?: (signal: AbortSignal) => Promise<void>;
}

/** @returns state by native id; a device that the platform no longer has is left out */
export async function readStatuses(
  options: StatusReaderOptions,
  groups: readonly PanelGroup[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, HardwareStatus>> {
  const found = new Map<string, HardwareStatus>();
  await mapConcurrent(groups, PANELS_AT_ONCE, signal, async (group, inner) => {
    for (const [nativeId, status] of await readPanel(options, group, inner)) found.set(nativeId, status);
  });
  return found;
}

async function readPanel(
  { client, settleMs, pace }: StatusReaderOptions,
  { panel, readers, boards, others }: PanelGroup,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, HardwareStatus>> {
  const states = new Map<string, HardwareStatus>();

  /** @returns null when the platform no longer has it */
  async function ask(instance: Instance): Promise<HardwareStatus | null> {
    const { kind, place } = instance;
    await pace?.(signal);
    const key = {
      panel: { ID: place.panelId },
      reader: { PanelID: place.panelId, ReaderID: place.deviceId },
      board: { PanelID: place.panelId, ID: place.deviceId },
      input: {},
      output: {},
      camera: {},
    }[kind.name];
    try {
      const answer = await client.execute(kind.typeName, 'GetHardwareStatus', key, signal);
      return readStatus(kind.status ?? 'panel', answer.get('status'));
    } catch (error) {
      if (!(error instanceof AdapterError)) throw error;
      if (error.code === 'NOT_FOUND') return null;
      if (!OF_THE_DEVICE.has(error.code)) throw error;
      return { ...UNTOLD_STATUS, reason: 'OTHER' };
    }
  }

  async function askPanel(): Promise<HardwareStatus | null> {
    if (panel === null) return UNTOLD_STATUS;
    // Configured to be offline: spare, or not built yet. Nobody talks to it, so there is nothing to ask.
    if (boolOf(panel.properties, 'IsOnline') === false) return DISABLED;
    await pace?.(signal);
    try {
      await client.execute('Lnl_Panel', 'UpdateHardwareStatus', { ID: panel.place.panelId }, signal);
    } catch (error) {
      if (!(error instanceof AdapterError)) throw error;
      if (error.code === 'NOT_FOUND') return null;
      // A panel of a kind that cannot be refreshed still has a state.
      if (!OF_THE_DEVICE.has(error.code)) throw error;
    }
    await pause(settleMs, signal);
    return ask(panel);
  }

  const panelStatus = await askPanel();
  if (panelStatus === null) return states;
  if (panel !== null) states.set(panel.nativeId, panelStatus);
  const isDown = panelStatus.state === 'OFFLINE' || panelStatus === DISABLED;
  const below: HardwareStatus = panelStatus === DISABLED ? DISABLED : PARENT_DOWN;
  const asked = [...readers, ...boards];
  await mapConcurrent(isDown ? [] : asked, DEVICES_AT_ONCE, signal, async (instance) => {
    const status = await ask(instance);
    if (status !== null) states.set(instance.nativeId, status);
  });
  if (isDown) for (const { nativeId } of asked) states.set(nativeId, below);
  const parents = new Map(asked.map(({ place, nativeId }) => [place.deviceId, states.get(nativeId)]));
  for (const { kind, place, nativeId } of others) {
    const parent = parents.get(place.deviceId) ?? panelStatus;
    // Whether a channel of a recorder has a picture is not told: that the recorder is there does not say so.
    const inherited = kind.name === 'camera' ? UNTOLD_STATUS : inheritedStatus(parent);
    states.set(nativeId, isDown ? below : inherited);
  }
  return states;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0) return;
  try {
    await wait(ms, undefined, { signal });
  } catch {
    throw abandoned(signal.reason);
  }
}

/** Lets one call go out every so often. @param perSecond 0: no limit */
export function createPace(perSecond: number): ((signal: AbortSignal) => Promise<void>) | undefined {
  if (perSecond === 0) return undefined;
  const stepMs = 1_000 / perSecond;
  let next = 0;
  return async (signal) => {
    const now = performance.now();
    const at = Math.max(now, next);
    next = at + stepMs;
    await pause(Math.ceil(at - now), signal);
  };
}

/** What is wanted, panel by panel. */
export function groupByPanel(
  panels: readonly Instance[],
  instances: readonly Instance[],
): ReadonlyMap<number, PanelGroup> {
  const below = Map.groupBy(
    instances.filter(({ kind }) => kind.name !== 'panel'),
    ({ place }) => place.panelId,
  );
  const byId = new Map(panels.map((panel) => [panel.place.panelId, panel]));
  const ids = new Set([...byId.keys(), ...below.keys()]);
  return new Map(
    [...ids].map((id) => {
      const own = below.get(id) ?? [];
      return [
        id,
        {
          panel: byId.get(id) ?? null,
          readers: own.filter(({ kind }) => kind.name === 'reader'),
          boards: own.filter(({ kind }) => kind.name === 'board'),
          others: own.filter(({ kind }) => !['reader', 'board'].includes(kind.name)),
        },
      ] as const;
    }),
  );
}
