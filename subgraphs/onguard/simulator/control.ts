// `/_sim/*`: how tests and people make the simulated system do things.
import { z } from 'zod';
import { type FaultBoard, Faults } from './faults.ts';
import type { Hub } from './hub.ts';
import type { Platform } from './platform.ts';
import type { Sessions } from './sessions.ts';
import type { StateFile } from './state.ts';

const Switch = z.strictObject({ state: z.enum(['online', 'offline']) });
const Words = z.strictObject({ type: z.string().min(1).optional(), state: z.string().min(1).optional() });
const Status = z.strictObject({ status: z.union([z.int(), z.string(), z.null()]) });
const Outage = z.strictObject({ seconds: z.number().min(0).max(86_400) });
const Clock = z.strictObject({ advanceSeconds: z.number().min(0) });
const Traffic = z.strictObject({ everyMs: z.int().min(0).max(3_600_000) });
const Bridge = z.strictObject({
  action: z.enum(['drop', 'broker-lost', 'broker-restored', 'delete-subscriptions', 'call']),
  method: z.string().optional(),
  args: z.array(z.unknown()).default([]),
});
const Emission = z.strictObject({
  nativeId: z.string().nullable().default(null),
  description: z.string().min(1),
  typeName: z.string().optional(),
  lateSeconds: z.number().optional(),
  isLive: z.boolean().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
});

export interface ControlParts {
  readonly platform: Platform;
  readonly board: FaultBoard;
  readonly hub: Hub;
  readonly sessions: Sessions;
  readonly file: StateFile;
  readonly accountId: string;
  /** Calls so far: in all, and by method and path. */
  readonly calls: () => { readonly total: number; readonly byCall: Readonly<Record<string, number>> };
  readonly outage: (seconds: number) => void;
  readonly advance: (ms: number) => void;
  readonly traffic: (everyMs: number) => void;
}

export interface ControlAnswer {
  readonly status: number;
  readonly body: unknown;
}

const DEVICE = /^\/_sim\/devices\/([^/]+)(?:\/(words|status))?$/;
const NOT_FOUND: ControlAnswer = { status: 404, body: { error: 'not found' } };

/** @throws ZodError for a body that is not what the route takes */
export function answerControl(parts: ControlParts, method: string, path: string, body: unknown): ControlAnswer {
  return method === 'GET' ? look(parts, path) : act(parts, path, body);
}

function look({ platform, board, hub, file, accountId, calls, sessions }: ControlParts, path: string): ControlAnswer {
  switch (path) {
    case '/_sim/devices':
      return { status: 200, body: platform.devices(accountId) };
    case '/_sim/sites':
      return { status: 200, body: platform.world.segments };
    case '/_sim/faults':
      return { status: 200, body: board.faults() };
    case '/_sim/calls':
      return { status: 200, body: { ...calls(), logins: sessions.logins() } };
    case '/_sim/bridge':
      return { status: 200, body: { ...hub.stats(), subscriptions: file.state.subscriptions } };
    default:
      return NOT_FOUND;
  }
}

function act(parts: ControlParts, path: string, body: unknown): ControlAnswer {
  const { platform, board, hub, sessions, file } = parts;
  const [, encoded, what] = DEVICE.exec(path) ?? [];
  if (encoded !== undefined) return changeDevice(platform, decodeURIComponent(encoded), what, body);
  switch (path) {
    case '/_sim/outage':
      parts.outage(Outage.parse(body).seconds);
      return { status: 200, body: {} };
    case '/_sim/faults':
      board.set(Faults.parse(body));
      return { status: 200, body: board.faults() };
    case '/_sim/clock':
      parts.advance(Clock.parse(body).advanceSeconds * 1_000);
      return { status: 200, body: {} };
    case '/_sim/tokens':
      sessions.expire();
      return { status: 200, body: {} };
    case '/_sim/traffic':
      parts.traffic(Traffic.parse(body).everyMs);
      return { status: 200, body: {} };
    case '/_sim/events': {
      const wanted = Emission.parse(body);
      if (wanted.nativeId !== null && platform.find(wanted.nativeId) === undefined) return NOT_FOUND;
      return { status: 200, body: platform.emit(wanted) };
    }
    case '/_sim/bridge':
      return steer(hub, file, Bridge.parse(body));
    default:
      return NOT_FOUND;
  }
}

function steer(hub: Hub, file: StateFile, { action, method, args }: z.infer<typeof Bridge>): ControlAnswer {
  switch (action) {
    case 'drop':
      hub.drop();
      break;
    case 'broker-lost':
      hub.setBroker(false);
      break;
    case 'broker-restored':
      hub.setBroker(true);
      break;
    case 'delete-subscriptions':
      file.state.subscriptions = [];
      file.state.queues = {};
      break;
    case 'call':
      hub.call(method ?? 'OnManagementEvent', args);
      break;
    default:
      action satisfies never;
  }
  return { status: 200, body: hub.stats() };
}

function changeDevice(platform: Platform, nativeId: string, what: string | undefined, body: unknown): ControlAnswer {
  if (platform.find(nativeId) === undefined) return NOT_FOUND;
  if (what === 'status') {
    platform.setStatus(nativeId, Status.parse(body).status);
    return { status: 200, body: { nativeId } };
  }
  if (what === 'words') {
    const { type, state } = Words.parse(body);
    platform.setWords(nativeId, {
      ...(type === undefined ? {} : { type }),
      ...(state === undefined ? {} : { state }),
    });
    return { status: 200, body: { nativeId } };
  }
  const { state } = Switch.parse(body);
  return { status: 200, body: { nativeId, state, changed: platform.setState(nativeId, state) } };
}
