/**
 * The calls of the vendor contract, as a vendor's cloud answers them, and as it answers when it misbehaves.
 *
 * @see the vendor contract, section 3
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { clipBytes, pictureBytes } from '../../../adapter-kit/simulator-kit/media-bytes.ts';
import type { Access } from './access.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { FaultBoard, Faults } from './faults.ts';
import { readBody, sendJson } from './http.ts';
import type { Platform } from './platform.ts';
import { uuidOf } from './random.ts';
import { PROFILES, type Hook, type PlatformFile } from './state.ts';

const MAX_PER_PAGE = 500;
/** Beyond what any client should take. */
const HUGE_BYTES = 12 * 1_024 * 1_024;
const PICTURE_BYTES = 40_000;
const CLIP_BYTES = 1_500_000;
const CHUNK = Buffer.alloc(64 * 1_024, 0x20);
/** A never-ending answer: a little every so often, so that no idle timer fires. */
const ENDLESS_EVERY_MS = 50;

const Registration = z.object({
  url: z.url(),
  secret: z.string().min(24).optional(),
  signature_profile: z.enum(PROFILES).default('contract-v1'),
});

export interface ApiParts {
  readonly seed: number;
  readonly platform: Platform;
  readonly board: FaultBoard;
  readonly access: Access;
  readonly file: PlatformFile;
  readonly dispatcher: Dispatcher;
}

type Call = NonNullable<Faults['call']>;

function callOf(path: string): Call | null {
  if (path === '/api/v1/account') return 'account';
  if (path === '/api/v1/account/sites') return 'sites';
  if (/^\/api\/v1\/sites\/[^/]+\/inventory$/.test(path)) return 'inventory';
  return path === '/webhooks' || path.startsWith('/webhooks/') ? 'webhooks' : null;
}

function readNumber(url: URL, name: string, fallback: number): number {
  const value = Number(url.searchParams.get(name) ?? fallback);
  return Number.isInteger(value) && value >= 1 ? value : fallback;
}

export async function answerApi(
  parts: ApiParts,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const { board } = parts;
  const { outage, faults } = board;
  if (outage !== null) {
    if (outage.mode === 'reset') request.socket.destroy();
    else sendJson(response, 503, { error: 'out of service' });
    return;
  }
  if (faults.delayMs > 0) {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    await wait(faults.delayMs, undefined, { signal: gone.signal, ref: false }).catch(() => undefined);
    if (response.destroyed) return;
  }
  const call = callOf(url.pathname);
  if (board.spoils(call, url.searchParams.has('page') ? readNumber(url, 'page', 1) : null))
    return spoil(faults, response);
  if (url.pathname === '/oauth/token' && request.method === 'POST') return answerToken(parts.access, request, response);
  if (!(await parts.access.isLetIn(request.headers.authorization)))
    return sendJson(response, 401, { error: 'unauthorized' });
  if (url.pathname.startsWith('/media/') && request.method === 'GET') return sendMedia(response, url.pathname);
  if (call === null) return sendJson(response, 404, { error: 'no such call' });
  if (call === 'webhooks') return answerWebhooks(parts, request, response, url);
  if (request.method !== 'GET') return sendJson(response, 405, { error: 'read only' });
  return answerRead(parts, call, response, url);
}

function answerRead({ platform, board }: ApiParts, call: Call, response: ServerResponse, url: URL): void {
  const { world } = platform;
  const { olderRevision, totalCountOff } = board.faults;
  if (call === 'account') {
    const id = olderRevision ? { org_id: world.accountId } : { account_id: world.accountId };
    return sendJson(response, 200, { ...id, name: world.accountName });
  }
  const page = readNumber(url, 'page', 1);
  if (call === 'sites') {
    const list = paginate(world.sites, page, readNumber(url, 'per_page', 50), totalCountOff);
    const sites = list.items.map((site) => platform.siteRecord(site));
    return sendPage(response, board.faults, { sites }, list.pagination);
  }
  const siteId = decodeURIComponent(url.pathname.split('/')[4] ?? '');
  if (!world.sites.some((site) => site.siteId === siteId)) return sendJson(response, 404, { error: 'no such site' });
  const ofSite = world.devices.filter((device) => device.siteId === siteId);
  const list = paginate(ofSite, page, readNumber(url, 'per_page', 100), totalCountOff);
  const devices = list.items.map((device) => platform.deviceRecord(device));
  return sendPage(response, board.faults, { devices }, list.pagination);
}

function sendPage(response: ServerResponse, { without }: Faults, list: object, pagination: object): void {
  sendJson(response, 200, omit({ ...list, pagination }, without));
}

/** Leaves members out of a page and its entries. */
function omit(page: object, without: Faults['without']): unknown {
  const names: readonly string[] = without;
  return names.length === 0
    ? page
    : JSON.parse(JSON.stringify(page, (name, value) => (names.includes(name) ? undefined : value)));
}

function paginate<T>(all: readonly T[], page: number, asked: number, totalCountOff: number) {
  const perPage = Math.min(asked, MAX_PER_PAGE);
  return {
    items: all.slice((page - 1) * perPage, page * perPage),
    pagination: {
      page,
      per_page: perPage,
      total_pages: Math.ceil(all.length / perPage),
      total_count: all.length + totalCountOff,
    },
  };
}

async function answerToken(access: Access, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const form = new URLSearchParams(await readBody(request));
  const isClient = access.isClient(form.get('client_id') ?? '', form.get('client_secret') ?? '');
  if (!isClient || form.get('grant_type') !== 'client_credentials')
    return sendJson(response, 400, { error: 'invalid_client' });
  return sendJson(response, 200, { access_token: access.oauth.accessToken, token_type: 'Bearer', expires_in: 300 });
}

async function answerWebhooks(
  parts: ApiParts,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const { file, board, dispatcher, seed } = parts;
  if (!board.faults.webhookApi) return sendJson(response, 404, { error: 'no such call' });
  const shown = ({ id, url: target, profile }: Hook) => ({ id, url: target, signature_profile: profile });
  const id = url.pathname.slice('/webhooks/'.length);
  if (request.method === 'GET' && id === '') return sendJson(response, 200, { webhooks: file.state.hooks.map(shown) });
  if (request.method === 'DELETE' && id !== '') {
    const index = file.state.hooks.findIndex((hook) => hook.id === decodeURIComponent(id));
    if (index === -1) return sendJson(response, 404, { error: 'no such webhook' });
    file.state.hooks.splice(index, 1);
    file.save();
    response.writeHead(204).end();
    return;
  }
  if (request.method !== 'POST' || id !== '') return sendJson(response, 405, { error: 'GET, POST, DELETE' });
  const wanted = Registration.safeParse(parseJson(await readBody(request)));
  if (!wanted.success) return sendJson(response, 422, { error: 'url, secret of 24 or more, signature_profile' });
  file.state.events += 1;
  const label = `webhook ${file.state.events}`;
  const own = `vcs_${uuidOf(seed, `${label} secret`).replaceAll('-', '')}`;
  const hook: Hook = {
    id: uuidOf(seed, label),
    url: wanted.data.url,
    profile: wanted.data.signature_profile,
    secret: board.faults.ownSecret ? own : (wanted.data.secret ?? own),
  };
  file.state.hooks.push(hook);
  file.save();
  dispatcher.wake();
  return sendJson(response, 201, { ...shown(hook), secret: hook.secret });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function spoil(faults: Faults, response: ServerResponse): void {
  const retryAfter = faults.retryAfterSeconds === null ? {} : { 'retry-after': String(faults.retryAfterSeconds) };
  switch (faults.answer) {
    case 'usual':
      return sendJson(response, faults.status ?? 500, { error: 'as ordered' }, retryAfter);
    case 'not-json':
      response.writeHead(faults.status ?? 200, { 'content-type': 'text/html' }).end('<html>Sign in</html>');
      return;
    case 'redirect':
      response.writeHead(302, { location: faults.redirectTo }).end();
      return;
    case 'huge':
      return sendHuge(response);
    case 'endless':
      return sendEndless(response);
    default:
      faults.answer satisfies never;
  }
}

/** Pictures and clips of events are behind the same credential as everything else. */
function sendMedia(response: ServerResponse, path: string): void {
  const isClip = path.endsWith('.mp4');
  const bytes = isClip ? clipBytes(path, CLIP_BYTES) : pictureBytes(path, PICTURE_BYTES);
  response
    .writeHead(200, { 'content-type': isClip ? 'video/mp4' : 'image/jpeg', 'content-length': bytes.length })
    .end(bytes);
}

function sendHuge(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  let left = HUGE_BYTES;
  const write = (): void => {
    while (left > 0 && !response.destroyed) {
      left -= CHUNK.length;
      if (!response.write(CHUNK)) {
        response.once('drain', write);
        return;
      }
    }
    response.end('{}');
  };
  write();
}

function sendEndless(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), ENDLESS_EVERY_MS).unref();
  response.on('close', () => clearInterval(timer));
}
