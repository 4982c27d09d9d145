// `/_sim/*`: how tests and people make the simulated platform do things.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { type FaultBoard, Faults, Outage } from './faults.ts';
import type { Dispatcher } from './dispatcher.ts';
import { readBody, sendJson } from './http.ts';
import type { Platform } from './platform.ts';
import type { PlatformFile } from './state.ts';

const Switch = z.strictObject({ state: z.enum(['online', 'offline']) });
const Words = z.strictObject({ type: z.string().min(1).optional(), state: z.string().min(1).optional() });
const Emission = z.strictObject({
  nativeId: z.string().nullable().default(null),
  event_type: z.string().min(1),
  data: z.record(z.string(), z.unknown()).default({}),
  event_id: z.string().min(1).optional(),
  timestamp: z.iso.datetime({ offset: true }).optional(),
});
const Traffic = z.strictObject({ everyMs: z.int().min(0).max(3_600_000) });

export interface ControlParts {
  readonly platform: Platform;
  readonly board: FaultBoard;
  readonly dispatcher: Dispatcher;
  readonly file: PlatformFile;
  readonly calls: () => number;
  readonly startTraffic: (options: { readonly everyMs: number }) => void;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const DEVICE = '/_sim/devices/';
const NOT_FOUND: Answer = { status: 404, body: { error: 'not found' } };

export async function answerControl(
  parts: ControlParts,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  try {
    const { status, body } = request.method === 'GET' ? look(parts, url) : await act(parts, request, url);
    sendJson(response, status, body);
  } catch (error) {
    const message = error instanceof z.ZodError ? z.prettifyError(error) : 'the request cannot be read';
    sendJson(response, 400, { error: message });
  }
}

function look({ platform, board, dispatcher, file, calls }: ControlParts, url: URL): Answer {
  switch (url.pathname) {
    case '/_sim/devices':
      return { status: 200, body: platform.devices() };
    case '/_sim/sites':
      return { status: 200, body: platform.world.sites };
    case '/_sim/faults':
      return { status: 200, body: board.faults };
    case '/_sim/webhooks': {
      const hooks = file.state.hooks.map(({ id, url: target, profile }) => ({ id, url: target, profile }));
      return { status: 200, body: { hooks, ...dispatcher.stats() } };
    }
    case '/_sim/calls':
      return { status: 200, body: { calls: calls() } };
    default:
      return NOT_FOUND;
  }
}

async function act(parts: ControlParts, request: IncomingMessage, url: URL): Promise<Answer> {
  if (request.method !== 'POST') return { status: 405, body: { error: 'GET or POST' } };
  const { platform, board } = parts;
  const text = await readBody(request);
  const body: unknown = text === '' ? {} : JSON.parse(text);
  if (url.pathname.startsWith(DEVICE)) return switchDevice(platform, url.pathname.slice(DEVICE.length), body);
  switch (url.pathname) {
    case '/_sim/outage':
      board.start(Outage.parse(body));
      return { status: 200, body: { outage: board.outage } };
    case '/_sim/faults':
      board.set(Faults.parse(body));
      return { status: 200, body: board.faults };
    case '/_sim/traffic':
      parts.startTraffic(Traffic.parse(body));
      return { status: 200, body: {} };
    case '/_sim/events': {
      const wanted = Emission.parse(body);
      if (wanted.nativeId !== null && platform.find(wanted.nativeId) === undefined) return NOT_FOUND;
      const eventId = platform.emit({
        nativeId: wanted.nativeId,
        eventType: wanted.event_type,
        data: wanted.data,
        eventId: wanted.event_id,
        at: wanted.timestamp === undefined ? undefined : new Date(wanted.timestamp),
      });
      return { status: 200, body: { eventId } };
    }
    default:
      return NOT_FOUND;
  }
}

const WORDS = '/words';

/** `{nativeId}` or `{nativeId}/words`; a slash within the id may be percent-encoded or not. */
function switchDevice(platform: Platform, rest: string, body: unknown): Answer {
  const name = decodeURIComponent(rest);
  if (platform.find(name) !== undefined) {
    const { state } = Switch.parse(body);
    const isChanged = platform.setState(name, state);
    return { status: 200, body: { nativeId: name, state, changed: isChanged } };
  }
  const nativeId = name.endsWith(WORDS) ? name.slice(0, -WORDS.length) : null;
  if (nativeId === null || platform.find(nativeId) === undefined) return NOT_FOUND;
  platform.setWords(nativeId, definedOf(Words.parse(body)));
  return { status: 200, body: { nativeId } };
}

function definedOf({ type, state }: z.infer<typeof Words>): { type?: string; state?: string } {
  return { ...(type === undefined ? {} : { type }), ...(state === undefined ? {} : { state }) };
}
