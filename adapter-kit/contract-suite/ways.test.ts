import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AdapterOptions, defineVendor, type Vendor } from '../define-vendor.ts';
import { describeVendorContract } from '../contract-suite.ts';
import type { ListenItem } from '../adapter.ts';
import { acmeVms } from '../scaffold/template/index.ts';
import type { AcmeVmsSettings } from '../scaffold/template/settings.ts';
import type { Simulator } from '../simulator.ts';

// The suite must hold platforms that push over a connection, and platforms that only answer, to the same contract as those
// with webhooks: the template's platform, spoken to in the other two ways.

function variant(ingest: Pick<Vendor['ingest'], 'listens'>): Vendor<AcmeVmsSettings> {
  let platform: Simulator | null = null;

  /** A connection as such platforms hold one: what the platform tells from now on, until the signal fires. */
  async function* listen(signal: AbortSignal): AsyncGenerator<ListenItem> {
    const queue: Buffer[] = [];
    let wake = Promise.withResolvers<void>();
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.end();
        queue.push(Buffer.concat(chunks));
        wake.resolve();
      });
    });
    signal.addEventListener('abort', () => wake.resolve(), { once: true });
    try {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      platform?.connectWebhook({ url: `http://127.0.0.1:${port}`, profile: '', secret: 'stream' });
      while (!signal.aborted) {
        await wake.promise;
        wake = Promise.withResolvers<void>();
        for (let body = queue.shift(); body !== undefined; body = queue.shift())
          yield { message: { body, headers: {}, source: 'STREAM', receivedAt: new Date() }, resumeToken: null };
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  return defineVendor<AcmeVmsSettings>({
    ...acmeVms,
    signatureProfiles: [],
    ingest: { ...acmeVms.ingest, ...ingest, webhooks: false },
    createAdapter(options: AdapterOptions<AcmeVmsSettings>) {
      const adapter = acmeVms.createAdapter(options);
      return ingest.listens
        ? { ...adapter, listen: (_: string | null, signal: AbortSignal) => listen(signal) }
        : adapter;
    },
    simulator: async () => ({
      async startSimulator(options) {
        const module = await acmeVms.simulator();
        const started = await module.startSimulator(options);
        platform = { ...started, integration: { ...started.integration, signatureProfile: null } };
        return platform;
      },
    }),
  });
}

describeVendorContract(variant({ listens: true }));
describeVendorContract(variant({ listens: false }));
