// `/_sim/*`: how tests and people make the simulated platform do things.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { ControlApi } from './api.ts';
import type { Dispatcher } from './dispatcher.ts';
import { type FaultBoard, Faults, Outage } from './faults.ts';
import type { Platform } from './platform.ts';
import { play, SCENARIOS } from './scenarios.ts';

const MAX_BODY_BYTES = 1_048_576;
const Switch = z.strictObject({ state: z.enum(['online', 'offline']) });
const Words = z.strictObject({ type: z.string().min(1).optional(), state: z.string().min(1).optional() });
const Emission = z.strictObject({
  nativeId: z.string().nullable().default(null),
  event: z.string().min(1),
  at: z.iso.datetime({ offset: true }).optional(),
  id: z.string().min(1).optional(),
  detections: z.array(z.string()).max(20).optional(),
});
const Play = z.strictObject({ name: z.enum(SCENARIOS), nativeId: z.string().nullable().default(null) });
const Rename = z.strictObject({ area: z.string(), name: z.string().min(1) });
const Traffic = z.strictObject({ everyMs: z.int().min(0).max(3_600_000) });

export interface ControlParts {
  readonly platform: Platform;
  readonly board: FaultBoard;
  readonly dispatcher: Dispatcher;
  readonly api: ControlApi;
  readonly startTraffic: (options: { readonly everyMs: number }) => void;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const NOT_FOUND: Answer = { status: 404, body: { error: 'not found' } };

export async function answerControl(parts: ControlParts, request: IncomingMessage, response: ServerResponse) {
  let answer: Answer;
  try {
    const { pathname } = new URL(request.url ?? '/', 'http://simulator');
    const path = pathname.split('/').filter(Boolean).map(decodeURIComponent);
    if (path[0] !== '_sim') answer = NOT_FOUND;
    else if (request.method === 'GET') answer = look(parts, path.slice(1));
    else if (request.method === 'POST') answer = act(parts, path.slice(1), await readJson(request));
    else answer = { status: 405, body: { error: 'GET or POST' } };
  } catch (error) {
    const message = error instanceof z.ZodError ? z.prettifyError(error) : 'the request cannot be read';
    answer = { status: 400, body: { error: error instanceof RangeError ? error.message : message } };
  }
  const text = JSON.stringify(answer.body);
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: Uint8Array = chunk;
    size += bytes.length;
    if (size > MAX_BODY_BYTES) throw new RangeError('the body is too large');
    chunks.push(bytes);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : JSON.parse(text);
}

function look({ platform, board, dispatcher, api }: ControlParts, [what = '', ...rest]: readonly string[]): Answer {
  if (rest.length > 0) return NOT_FOUND;
  switch (what) {
    case 'devices':
      return { status: 200, body: platform.devices() };
    case 'areas':
      return { status: 200, body: platform.areas() };
    case 'faults':
      return { status: 200, body: board.faults };
    case 'webhooks':
      return { status: 200, body: dispatcher.stats() };
    case 'calls':
      return { status: 200, body: { calls: api.calls(), peak: api.peak(), tooMany: api.tooMany() } };
    default:
      return NOT_FOUND;
  }
}

function act(parts: ControlParts, [what = '', guid, ...rest]: readonly string[], body: unknown): Answer {
  const { platform, board } = parts;
  if (what === 'devices') return guid === undefined ? NOT_FOUND : switchDevice(platform, guid, rest, body);
  if (guid !== undefined) return NOT_FOUND;
  switch (what) {
    case 'outage':
      board.start(Outage.parse(body));
      return { status: 200, body: { outage: board.outage } };
    case 'faults':
      board.set(Faults.parse(body));
      return { status: 200, body: board.faults };
    case 'traffic':
      parts.startTraffic(Traffic.parse(body));
      return { status: 200, body: {} };
    case 'events': {
      const { nativeId, at, ...wanted } = Emission.parse(body);
      if (nativeId !== null && !platform.has(nativeId)) return NOT_FOUND;
      const id = platform.emit({ ...wanted, guid: nativeId, at: at === undefined ? undefined : new Date(at) });
      return { status: 200, body: { id } };
    }
    case 'scenarios': {
      const { name, nativeId } = Play.parse(body);
      play(platform, name, nativeId);
      return { status: 200, body: { name } };
    }
    case 'areas': {
      const { area, name } = Rename.parse(body);
      return platform.renameArea(area, name) ? { status: 200, body: platform.areas() } : NOT_FOUND;
    }
    default:
      return NOT_FOUND;
  }
}

function switchDevice(platform: Platform, guid: string, [what, ...rest]: readonly string[], body: unknown): Answer {
  if (!platform.has(guid) || rest.length > 0) return NOT_FOUND;
  if (what === undefined) {
    const { state } = Switch.parse(body);
    const isChanged = platform.setState(guid, state);
    return { status: 200, body: { nativeId: guid, state, changed: isChanged } };
  }
  if (what !== 'words') return NOT_FOUND;
  const { type, state } = Words.parse(body);
  platform.setWords(guid, { ...(type === undefined ? {} : { type }), ...(state === undefined ? {} : { state }) });
  return { status: 200, body: { nativeId: guid } };
}
