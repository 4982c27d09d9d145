// The reverse control API of the simulated cloud: HTTPS, Basic authentication, texts for refusals, three calls at once.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FaultBoard } from './faults.ts';
import type { Platform } from './platform.ts';

const MAX_IN_FLIGHT = 3;
const CALLS = ['get_device_list', 'get_siren_list'];
const PREFIX = '/control/v1/';

export interface User {
  readonly username: string;
  readonly password: string;
  /** Without it the answer is the same as for a wrong password. */
  readonly mayControl: boolean;
}

export interface ApiParts {
  readonly platform: Platform;
  readonly board: FaultBoard;
  readonly users: readonly User[];
}

export interface ControlApi {
  answer(request: IncomingMessage, response: ServerResponse): void;
  calls(): number;
  /** The most calls of one user that were under way at once. */
  peak(): number;
  /** Calls that were refused for being too many at once. */
  tooMany(): number;
  close(): void;
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
}

export function createControlApi({ platform, board, users }: ApiParts): ControlApi {
  const inFlight = new Map<string, number>();
  const timers = new Set<NodeJS.Timeout>();
  const sirens = new Set(platform.world.devices.filter(({ kind }) => kind === 'siren').map(({ guid }) => guid));
  const counts = { calls: 0, peak: 0, tooMany: 0 };

  function userOf({ headers }: IncomingMessage): User | null {
    const [scheme, encoded = ''] = (headers.authorization ?? '').split(' ');
    if (scheme !== 'Basic') return null;
    const pair = Buffer.from(encoded, 'base64').toString('utf8');
    return users.find(({ username, password, mayControl }) => mayControl && `${username}:${password}` === pair) ?? null;
  }

  function listOf(call: string): readonly unknown[] {
    const { faults } = board;
    const all = platform.listed();
    const wanted = all.filter(({ guid }) =>
      call === 'get_siren_list' ? sirens.has(guid) : !faults.sirensApart || !sirens.has(guid),
    );
    return [
      ...wanted.map((device) => (faults.moreMembers ? { ...device, firmware_version: '9.9', online: true } : device)),
      ...Array.from({ length: call === 'get_device_list' ? faults.brokenEntries : 0 }, () => ({ name: 'nobody' })),
    ];
  }

  function spoil(response: ServerResponse, list: readonly unknown[]): void {
    const { status, answer } = board.faults;
    if (status !== null) return refuse(response, status, status === 429 ? 'Too Many Requests' : 'Refused');
    const json = { 'content-type': 'application/json' };
    switch (answer) {
      case 'hang':
        return;
      case 'html':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Maintenance</title>');
        return;
      case 'truncated': {
        const text = JSON.stringify(list);
        response.writeHead(200, json).end(text.slice(0, Math.floor(text.length / 2)));
        return;
      }
      case 'endless': {
        const chunk = Buffer.alloc(65_536, ' ');
        response.writeHead(200, json);
        const more = (): void => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on('drain', more);
        more();
        return;
      }
      case 'usual':
        return refuse(response, 500, 'Internal Server Error');
      default:
        return answer satisfies never;
    }
  }

  function serve(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', 'https://simulator');
    const call = pathname.startsWith(PREFIX) ? pathname.slice(PREFIX.length) : '';
    if (request.method !== 'GET' || !CALLS.includes(call)) return refuse(response, 404, 'Not Found');
    const list = listOf(call);
    if (board.spoils(call)) return spoil(response, list);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(list));
  }

  return {
    answer(request, response) {
      counts.calls += 1;
      if (board.outage !== null) {
        if (board.outage.mode === 'reset') return void request.socket.destroy();
        return refuse(response, 503, 'Service Unavailable');
      }
      const user = userOf(request);
      if (user === null) return refuse(response, 401, 'Unauthorized');
      const underWay = inFlight.get(user.username) ?? 0;
      if (underWay >= MAX_IN_FLIGHT) {
        counts.tooMany += 1;
        return refuse(response, 429, 'Too Many Requests');
      }
      inFlight.set(user.username, underWay + 1);
      counts.peak = Math.max(counts.peak, underWay + 1);
      response.once('close', () => inFlight.set(user.username, (inFlight.get(user.username) ?? 1) - 1));
      if (board.faults.delayMs === 0) return serve(request, response);
      const timer = setTimeout(() => {
        timers.delete(timer);
        serve(request, response);
      }, board.faults.delayMs);
      timers.add(timer);
    },
    calls: () => counts.calls,
    peak: () => counts.peak,
    tooMany: () => counts.tooMany,
    close() {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
