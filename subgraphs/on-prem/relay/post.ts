import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import { Agent, request } from 'node:https';
import { rootCertificates } from 'node:tls';

/** Longer than the cloud takes to store a delivery, shorter than a dead line is waited for. */
const TIMEOUT_MS = 10_000;

/** How the relay sends: one connection that is kept, certificates always checked. */
export interface Poster {
  /** @returns the status; rejects when nobody answered in time */
  post(url: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<number>;
  close(): void;
}

/** @param ca certificates (PEM) that are trusted beside the usual ones; null: none */
export function createPoster(ca: string | null): Poster {
  const secure = new Agent({
    keepAlive: true,
    maxSockets: 1,
    ...(ca === null ? {} : { ca: [...rootCertificates, ca] }),
  });
  const plain = new HttpAgent({ keepAlive: true, maxSockets: 1 });

  return {
    post(url, headers, body) {
      const isSecure = new URL(url).protocol === 'https:';
      const options = { method: 'POST', headers: { ...headers, 'content-length': String(body.byteLength) } };
      return new Promise((resolve, reject) => {
        const sent = isSecure
          ? request(url, { ...options, agent: secure, timeout: TIMEOUT_MS })
          : requestHttp(url, { ...options, agent: plain, timeout: TIMEOUT_MS });
        sent.on('response', (answer) => {
          answer.on('error', reject);
          answer.on('end', () => resolve(answer.statusCode ?? 0));
          // What it says is for people with a console; the status decides.
          answer.resume();
        });
        sent.on('timeout', () => sent.destroy(new Error('nobody answered in time')));
        sent.on('error', reject);
        sent.end(body);
      });
    },
    close() {
      secure.destroy();
      plain.destroy();
    },
  };
}
