import http from 'node:http';
import https from 'node:https';

/** An attempt of a simulated platform to tell our address something. */
export interface Posting {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Poster {
  /** Follows no redirects. @returns the status; 0 when there was no answer */
  post(posting: Posting, body: string): Promise<number>;
  /** Cuts what is under way. */
  close(): void;
}

/** @param timeoutMs how long an address may stay silent */
export function createPoster(timeoutMs: number): Poster {
  const agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) };
  return {
    post({ url, headers }, body) {
      const target = URL.parse(url);
      if (target === null || !/^https?:$/.test(target.protocol)) return Promise.resolve(0);
      const { promise, resolve } = Promise.withResolvers<number>();
      const options = {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        timeout: timeoutMs,
      };
      const request =
        target.protocol === 'https:'
          ? https.request(target, { ...options, agent: agents.https })
          : http.request(target, { ...options, agent: agents.http });
      let status = 0;
      request.on('response', (response) => {
        status = response.statusCode ?? 0;
        response.resume();
      });
      request.on('timeout', () => request.destroy());
      request.on('error', () => resolve(0));
      request.on('close', () => resolve(status));
      request.end(body);
      return promise;
    },
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}
