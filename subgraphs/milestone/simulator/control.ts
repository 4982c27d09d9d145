// `/_sim/*`: how tests and people make the simulated system do things.
import { z } from 'zod';
import type { EventServer } from './event-server.ts';
import { Faults } from './faults.ts';
import type { Platform } from './platform.ts';

const Switch = z.strictObject({ state: z.enum(['online', 'offline']) });
const Words = z.strictObject({ type: z.string().min(1).optional(), state: z.string().min(1).optional() });
const Config = z.strictObject({
  name: z.string().min(1).optional(),
  enabled: z.boolean().optional(),
  hasState: z.boolean().optional(),
  removed: z.boolean().optional(),
});
const Emission = z.strictObject({
  type: z.string().min(1),
  source: z.string().min(1),
  id: z.string().optional(),
  time: z.string().optional(),
  data: z.unknown().optional(),
});
const Seconds = z.strictObject({ seconds: z.number().min(0).max(86_400) });
const Traffic = z.strictObject({ everyMs: z.int().min(0).max(3_600_000) });

export interface ControlParts {
  readonly platform: Platform;
  readonly events: EventServer;
  readonly faults: () => Faults;
  readonly setFaults: (faults: Faults) => void;
  readonly outage: (seconds: number) => void;
  readonly revokeTokens: () => void;
  readonly startTraffic: (options: { readonly everyMs: number }) => void;
  readonly counts: () => Readonly<Record<string, number>>;
}

export interface ControlAnswer {
  readonly status: number;
  readonly body: unknown;
}

const NOT_FOUND: ControlAnswer = { status: 404, body: { error: 'not found' } };
const DONE: ControlAnswer = { status: 200, body: {} };

export function answerControl(parts: ControlParts, method: string, path: string, text: string): ControlAnswer {
  try {
    return method === 'GET' ? look(parts, path) : act(parts, path, text === '' ? {} : JSON.parse(text));
  } catch (error) {
    return { status: 400, body: { error: error instanceof z.ZodError ? z.prettifyError(error) : 'cannot be read' } };
  }
}

function look({ platform, faults, counts }: ControlParts, path: string): ControlAnswer {
  switch (path) {
    case '/_sim/devices':
      return { status: 200, body: platform.devices() };
    case '/_sim/faults':
      return { status: 200, body: faults() };
    case '/_sim/calls':
      return { status: 200, body: counts() };
    default:
      return NOT_FOUND;
  }
}

function act(parts: ControlParts, path: string, body: unknown): ControlAnswer {
  const { platform, events } = parts;
  const [, , what, encoded = '', action] = path.split('/');
  if (what === 'devices') {
    const device = platform.world.devices.get(decodeURIComponent(encoded));
    if (device === undefined) return NOT_FOUND;
    if (action === undefined) platform.setState(device.id, Switch.parse(body).state);
    else if (action === 'config') platform.configure(device, Config.parse(body));
    else if (action === 'words') {
      const { type, state } = Words.parse(body);
      platform.setWords(device.id, {
        ...(type === undefined ? {} : { type }),
        ...(state === undefined ? {} : { state }),
      });
    } else return NOT_FOUND;
    return DONE;
  }
  switch (path) {
    case '/_sim/outage':
      parts.outage(Seconds.parse(body).seconds);
      return DONE;
    case '/_sim/recycle':
      events.recycle();
      parts.outage(Seconds.parse(body).seconds);
      return DONE;
    case '/_sim/drop':
      events.drop();
      return DONE;
    case '/_sim/revoke':
      parts.revokeTokens();
      return DONE;
    case '/_sim/faults':
      parts.setFaults(Faults.parse(body));
      return DONE;
    case '/_sim/events':
      return { status: 200, body: platform.emit(Emission.parse(body)) };
    case '/_sim/traffic':
      parts.startTraffic(Traffic.parse(body));
      return DONE;
    default:
      return NOT_FOUND;
  }
}
