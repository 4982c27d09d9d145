// Where the relay takes from: HTTP on this machine, a watched folder, standard input. All of it ends in `accept`.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { JsonGuardError, parseJson } from '../../../adapter-kit/json-guard.ts';
import { type Relay, RelayFullError, RelayInputError } from './relay.ts';

/** A list of 20,000 devices. */
const MAX_BYTES = 8 * 1_024 * 1_024;
const MAX_KEYS = 300_000;
const LOOK_EVERY_MS = 1_000;

function parse(body: Uint8Array): unknown {
  return parseJson(body, { maxKeys: MAX_KEYS });
}

function isInput(error: unknown): error is Error {
  return error instanceof RelayInputError || error instanceof JsonGuardError;
}

async function readAll(req: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req) {
    const part = Buffer.from(chunk);
    bytes += part.byteLength;
    if (bytes > MAX_BYTES) return null;
    chunks.push(part);
  }
  return Buffer.concat(chunks);
}

function answer(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json', ...(status === 503 ? { 'retry-after': '5' } : {}) });
  res.end(JSON.stringify(body));
}

async function take(relay: Relay, req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method === 'GET' && req.url === '/healthz') return answer(res, 200, relay.status());
  if (req.method !== 'POST') return answer(res, 405, { error: 'POST a list of devices or events; GET /healthz' });
  const body = await readAll(req);
  if (body === null) return answer(res, 413, { error: `at most ${MAX_BYTES} bytes` });
  const entries = await relay.accept(parse(body));
  // On disk: whoever handed it over may forget it.
  answer(res, 202, { accepted: true, entries });
}

/** @returns the server; its port is known */
export async function listenForRelay(relay: Relay, host: string, port: number, logger: Logger): Promise<Server> {
  const server = createServer({ requestTimeout: 30_000 }, (req, res) => {
    take(relay, req, res).catch((error: unknown) => {
      if (res.headersSent) return;
      if (isInput(error)) return answer(res, 400, { error: error.message });
      if (!(error instanceof RelayFullError)) logger.error({ err: error }, 'A delivery could not be queued');
      answer(res, 503, { error: error instanceof RelayFullError ? error.message : 'it could not be stored' });
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

export function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Looks once a second. A file is deleted once it is in the queue, and becomes `*.bad` when it cannot be used. */
export function watchForRelay(relay: Relay, dir: string, logger: Logger): { readonly close: () => Promise<void> } {
  let isClosed = false;
  let looking: Promise<void> | null = null;

  async function takeFile(path: string): Promise<boolean> {
    try {
      const { size } = await stat(path);
      if (size > MAX_BYTES) throw new RelayInputError(`it has more than ${MAX_BYTES} bytes`);
      await relay.accept(parse(await readFile(path)));
      await unlink(path);
      return true;
    } catch (error) {
      if (isInput(error)) {
        logger.error({ file: path, reason: error.message }, 'A file cannot be used and was set aside');
        await rename(path, `${path}.bad`);
        return true;
      }
      // A full queue: the files wait where they are, in their order.
      if (!(error instanceof RelayFullError)) logger.error({ err: error, file: path }, 'A file could not be queued');
      return false;
    }
  }

  async function look(): Promise<void> {
    const names = (await readdir(dir)).filter((name) => name.endsWith('.json')).toSorted();
    for (const name of names) if (isClosed || !(await takeFile(join(dir, name)))) return;
  }

  const tick = (): void => {
    looking ??= look()
      .catch((error: unknown) => logger.error({ err: error, dir }, 'The folder cannot be read'))
      .finally(() => {
        looking = null;
      });
  };
  const timer = setInterval(tick, LOOK_EVERY_MS);
  tick();
  return {
    async close() {
      isClosed = true;
      clearInterval(timer);
      await looking;
    },
  };
}

/** One delivery per line, one after the other: a full queue holds the writer up. */
export async function readForRelay(relay: Relay, input: Readable, logger: Logger): Promise<void> {
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue;
    for (;;) {
      try {
        await relay.accept(parse(Buffer.from(line)));
        break;
      } catch (error) {
        if (isInput(error)) {
          logger.error({ reason: error.message }, 'A line cannot be used and was left out');
          break;
        }
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    }
  }
}
