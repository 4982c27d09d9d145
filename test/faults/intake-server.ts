import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { createInboxWriter } from '../../pipeline/inbox/inbox-writer.ts';
import { createIntake } from '../../pipeline/intake/intake.ts';
import { createProcessor, type Processor } from '../../pipeline/process/processor.ts';
import { acme, quiet, testVault } from '../../pipeline/testing.ts';
import type { Database } from '../../storage/database.ts';

const Answer = z.object({ accepted: z.boolean(), duplicate: z.boolean().default(false) });

export interface Acknowledged {
  readonly status: number;
  readonly isDuplicate: boolean;
}

/** What one process of the product has between a webhook and the log. */
export interface IntakeServer {
  readonly port: number;
  readonly processor: Processor;
  close(): Promise<void>;
}

/** @param now milliseconds since the epoch */
export async function startIntakeServer(db: Database, now: () => number): Promise<IntakeServer> {
  const inbox = createInboxWriter({ db, logger: quiet });
  const intake = createIntake({ db, vault: testVault, inbox, logger: quiet, now });
  const processor = createProcessor({ db, vendors: [acme], logger: quiet, now });
  const server = createServer((req, res) => void intake.handle(req, res, (req.url ?? '').split('/').at(-1) ?? ''));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    processor,
    async close() {
      server.close();
      server.closeAllConnections();
      await processor.stop();
      await intake.close();
      await inbox.close();
    },
  };
}

const agent = new Agent({ keepAlive: false });

/** Rejects when the connection ends without an answer. */
export function post(port: number, headers: Record<string, string>, body: Uint8Array): Promise<Acknowledged> {
  return new Promise((resolve, reject) => {
    const options = { port, agent, host: '127.0.0.1', method: 'POST', path: '/webhooks/int_a', headers };
    const req = request(options, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => (text += chunk));
      res.on('error', reject);
      res.on('end', () => {
        const answer = Answer.parse(JSON.parse(text));
        resolve({ status: res.statusCode ?? 0, isDuplicate: answer.duplicate });
      });
    });
    req.on('error', reject);
    req.end(body);
  });
}
