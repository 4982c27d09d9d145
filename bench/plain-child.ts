import { createServer, type Server } from 'node:http';
import { type DocumentNode, execute, parse, validate } from 'graphql';
import { createHttpClientFactory } from '../adapter-kit/http/create-http-client.ts';
import { createAuthenticator } from '../gateway/auth/authenticator.ts';
import { createLogger } from '../logger.ts';
import { systemClock } from '../pipeline/integrations/clock.ts';
import { createIntegrationRuntime } from '../pipeline/integrations/runtime.ts';
import { createVendorHost } from '../pipeline/live/vendor-host.ts';
import { createEventWriter } from '../pipeline/process/event-writer.ts';
import { createCursorCodec } from '../storage/cursor.ts';
import { createDirectoryStore } from '../storage/directory-store.ts';
import { createInventoryStore } from '../storage/inventory-store.ts';
import { loadMasterKey } from '../storage/master-key.ts';
import { openDatabase } from '../storage/open-database.ts';
import { createVault } from '../storage/vault.ts';
import { answerCalls } from './child.ts';
import { memoryVendor, realVendor } from './memory-platform.ts';
import { createPlainSchema, plainContext } from './plain-schema.ts';
import { configOf, issuerOf, type Setting } from './setting.ts';

// The baseline of the query part: graphql-js behind node:http. Documents are parsed and validated once.

const closers: (() => Promise<void> | void)[] = [];

async function start(setting: Setting): Promise<number> {
  const issuer = await issuerOf(setting);
  const { dataDir, databaseUrl, auth, outboundAllowCidrs } = configOf(setting, issuer);
  const logger = createLogger('warn');
  const now = Date.now;
  const masterKey = loadMasterKey({ value: undefined, dataDirectory: dataDir });
  const vault = createVault({ masterKey });
  const cursors = createCursorCodec(masterKey);
  const db = await openDatabase({ url: databaseUrl, logger });
  const vendors = [setting.platforms === 'memory' ? memoryVendor : realVendor];
  const network = { allow: outboundAllowCidrs, allowHttp: true };
  const http = createHttpClientFactory({ network, logger, now: () => new Date(), random: Math.random });
  const runtime = createIntegrationRuntime({ db, vault, vendors, http, logger, now });
  const services = {
    inventory: createInventoryStore({ db, cursors, vendors, now }),
    directory: createDirectoryStore({ db, cursors, now }),
    host: createVendorHost({ db, runtime, events: createEventWriter({ db }), clock: systemClock, logger }),
  };
  const authenticator = createAuthenticator({ ...auth, logger, now });
  const schema = createPlainSchema();
  const documents = new Map<string, DocumentNode>();

  function documentOf(query: string): DocumentNode {
    let document = documents.get(query);
    if (document === undefined) {
      document = parse(query);
      const [error] = validate(schema, document);
      if (error !== undefined) throw error;
      documents.set(query, document);
    }
    return document;
  }

  async function answer(authorization: string | undefined, text: string): Promise<string> {
    const principal = await authenticator.authenticate(authorization);
    const { query, variables } = JSON.parse(text);
    const result = await execute({
      schema,
      document: documentOf(query),
      variableValues: variables,
      contextValue: plainContext(services, principal),
    });
    return JSON.stringify(result);
  }

  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      answer(request.headers.authorization, Buffer.concat(chunks).toString()).then(
        (text) => {
          const body = Buffer.from(text);
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
        },
        (error: unknown) => {
          const body = String(error);
          response.writeHead(500, { 'content-length': Buffer.byteLength(body) }).end(body);
        },
      );
    });
  });
  closers.push(
    () => runtime.close(),
    () => db.close(),
  );
  closers.unshift(() => {
    server.close();
    server.closeAllConnections();
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

const calls = { start };
export type PlainCalls = typeof calls;

answerCalls(calls, async () => {
  for (const close of closers) await close();
});
