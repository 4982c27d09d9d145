import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { control, simulate } from './fixtures/rig.ts';
import type { MilestoneSimulator } from './simulator.ts';

let simulator: MilestoneSimulator;
beforeEach(async () => {
  simulator = await simulate();
});
afterEach(() => simulator.close());

async function token(): Promise<string> {
  const { username, password } = Object(simulator.integration.credentials['basic']);
  const answer = await fetch(`${simulator.url}/IDP/connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', username, password, client_id: 'GrantValidatorClient' }),
  });
  const body: unknown = await answer.json();
  return String(Object(body).access_token);
}

describe('simulated gateway', () => {
  it('answers nobody without a token, and speaks its envelopes to those with one', async () => {
    expect((await fetch(`${simulator.url}/api/rest/v1/cameras`)).status).toBe(401);
    const headers = { authorization: `Bearer ${await token()}` };
    const get = async (path: string) => {
      const answer = await fetch(`${simulator.url}${path}`, { headers });
      const body: unknown = await answer.json();
      return [answer.status, body] as const;
    };
    expect(await get('/API/REST/V1/sites')).toMatchObject([200, { array: [{ version: '25.2.8912.1' }] }]);
    expect((await get('/api/rest/v1/storages'))[0]).toBe(400);
    expect((await get('/api/rest/v1/hardwareDriverSettings'))[0]).toBe(400);
    expect(await get('/api/rest/v1/recordings')).toMatchObject([
      404,
      { error: { httpCode: 404, details: [{ errorText: 'Unknown resource: recordings' }] } },
    ]);
  });

  it('lists what is disabled only when it is asked to', async () => {
    const [camera] = simulator.devices();
    await control(simulator, `devices/${camera?.nativeId}/config`, { enabled: false });
    const headers = { authorization: `Bearer ${await token()}` };
    const count = async (query: string) => {
      const body: unknown = await (await fetch(`${simulator.url}/api/rest/v1/cameras${query}`, { headers })).json();
      return Number(Object(body).array.length);
    };
    expect((await count('?disabled')) - (await count(''))).toBe(1);
  });

  it('makes the same system of the same seed, and another of another', async () => {
    const [same, other] = [await simulate(), await simulate({ seed: 8 })];
    const ids = (of: MilestoneSimulator) => of.devices().map(({ nativeId }) => nativeId);
    expect(ids(same)).toEqual(ids(simulator));
    expect(ids(other)).not.toEqual(ids(simulator));
    await Promise.all([same.close(), other.close()]);
  });
});

describe('simulated webhooks', () => {
  it.each([
    ['the secret', {}, 'secret of the operator'],
    ['nothing, where nobody entered one', { emptyToken: true }, ''],
  ])('are signed in Base64 with %s, and sent again until they are taken', async (_, faults, key) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const received: { body: Buffer; signature: unknown }[] = [];
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        received.push({ body: Buffer.concat(chunks), signature: request.headers['x-hub-signature-256'] });
        response.writeHead(received.length === 1 ? 503 : 204).end();
        if (received.length === 2) resolve();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : '';
    await control(simulator, 'faults', faults);
    simulator.connectWebhook({
      url: `http://127.0.0.1:${port}/hook`,
      profile: 'MILESTONE_NATIVE',
      secret: 'secret of the operator',
    });
    simulator.setState(simulator.devices()[0]?.nativeId ?? '', 'offline');
    await promise;
    const [first, second] = received;
    expect(second?.body).toEqual(first?.body);
    const digest = createHmac('sha256', key)
      .update(first?.body ?? '')
      .digest('base64');
    expect(first?.signature).toBe(`sha256=${digest}`);
    server.closeAllConnections();
    server.close();
  });
});
