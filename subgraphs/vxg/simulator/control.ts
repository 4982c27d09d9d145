// `/_sim/*`: how tests and people make the simulated service do things.
import { z } from 'zod';
import type { Answer } from './api.ts';
import { type FaultBoard, Faults } from './faults.ts';
import type { Installation } from './installation.ts';
import type { Tokens } from './tokens.ts';

const Switch = z.strictObject({ state: z.enum(['online', 'offline']) });
const Words = z.strictObject({ state: z.string().min(1).nullable().default(null) });
const Recording = z.strictObject({ recording: z.boolean() });
const Outage = z.strictObject({ seconds: z.number().min(0).max(86_400) });
const Traffic = z.strictObject({ everyMs: z.int().min(0).max(3_600_000) });
const Emission = z.strictObject({
  nativeId: z.string(),
  name: z.string().min(1),
  meta: z.record(z.string(), z.string()).default({}),
  /** With a zone, unlike the service's own: when it happened; it is created now. */
  at: z.iso.datetime({ offset: true }).optional(),
});

export interface ControlParts {
  readonly installation: Installation;
  readonly board: FaultBoard;
  readonly tokens: Tokens;
  readonly calls: () => number;
  readonly startTraffic: (options: { readonly everyMs: number }) => void;
}

const NOT_FOUND: Answer = { status: 404, body: { error: 'not found' } };

/** @param path segments behind `/_sim/` @throws ZodError for a body that does not fit */
export function answerControl(parts: ControlParts, method: string, path: readonly string[], body: unknown): Answer {
  const { installation, board, tokens } = parts;
  const [what, nativeId, part] = path;
  if (method === 'GET') {
    if (what === 'devices') return { status: 200, body: installation.devices() };
    if (what === 'events') return { status: 200, body: installation.events() };
    if (what === 'calls') return { status: 200, body: { calls: parts.calls() } };
    return what === 'faults' ? { status: 200, body: board.faults } : NOT_FOUND;
  }
  switch (method === 'POST' ? (what ?? '') : '') {
    case 'devices': {
      const device = installation.find(nativeId ?? '');
      if (device === undefined) return NOT_FOUND;
      if (part === 'words') installation.setWord(device.nativeId, Words.parse(body).state);
      else if (part === 'recording') installation.setRecording(device.nativeId, Recording.parse(body).recording);
      else installation.setState(device.nativeId, Switch.parse(body).state);
      return { status: 200, body: { nativeId, state: installation.stateOf(device) } };
    }
    case 'events': {
      const { nativeId: id, name, meta, at } = Emission.parse(body);
      const device = installation.find(id);
      if (device === undefined || device.type === 'server') return NOT_FOUND;
      const moment = at === undefined ? {} : { at: new Date(at) };
      return { status: 201, body: installation.emit({ camid: device.id, name, meta, ...moment }) };
    }
    case 'outage':
      board.outage(Outage.parse(body).seconds);
      return { status: 200, body: {} };
    case 'faults':
      board.set(Faults.parse(body));
      return { status: 200, body: board.faults };
    case 'revoke':
      tokens.revoke();
      return { status: 200, body: {} };
    case 'traffic':
      parts.startTraffic(Traffic.parse(body));
      return { status: 200, body: {} };
    default:
      return NOT_FOUND;
  }
}
