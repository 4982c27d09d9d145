import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { buildSchema, parse, validate } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../config.ts';
import { createOperationLimits } from '../limits/operations.ts';
import { startTestGateway, type TestGateway } from '../testing.ts';
import { loadExamples } from './examples.ts';

const schema = buildSchema(readFileSync(new URL('../../schema/api.graphql', import.meta.url), 'utf8'));
const examples = loadExamples().map((example) => [example.name, example] as const);

describe('saved operations', () => {
  it('are there', () => {
    expect(examples.length).toBeGreaterThan(10);
  });

  it.each(examples)('%s is valid on our own graph', (_, { query }) => {
    expect(validate(schema, parse(query)).map(({ message }) => message)).toEqual([]);
  });

  it.each(examples)('%s is within the limits', (_, { query }) => {
    const limits = createOperationLimits({ schema: () => schema, maxCost: DEFAULT_LIMITS.operationCost });
    expect(limits.admit(query, null, {}).cost).toBeLessThanOrEqual(DEFAULT_LIMITS.operationCost / 2);
  });
});

describe('the catalogue of events', () => {
  const limits = createOperationLimits({ schema: () => schema, maxCost: DEFAULT_LIMITS.operationCost });

  it('can be read as a whole, and not many times over in one operation', () => {
    const whole = '{ eventTypes { name jsonSchema sample mappings { vendor vendorCode } } }';
    expect(limits.admit(whole, null, {}).cost).toBeLessThan(2_000);
    const aliases = Array.from({ length: 30 }, (_, index) => `a${index}: jsonSchema`).join(' ');
    expect(() => limits.admit(`{ eventTypes { ${aliases} } }`, null, {})).toThrow(/cost/i);
  });
});

describe('playground', () => {
  let product: TestGateway;
  let sandbox: TestGateway;
  let token = '';

  beforeAll(async () => {
    product = await startTestGateway();
    sandbox = await startTestGateway({
      demo: (made) => {
        token = made;
        return { token, variables: { org: 'org_1' } };
      },
    });
  });
  afterAll(() => Promise.all([product.close(), sandbox.close()]));

  async function pageOf({ url }: TestGateway, path = '/'): Promise<string> {
    const response = await fetch(`${url}${path}`, { headers: { accept: 'text/html' } });
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('content-security-policy')).toContain("connect-src 'self'");
    return response.text();
  }

  /** What a browser gets that came here by this name; `fetch` does not let us choose it. */
  function withHost(port: number, host: string): Promise<string> {
    return new Promise((resolve, reject) => {
      get({ port, host: '127.0.0.1', path: '/', headers: { host } }, (response) => {
        response.toArray().then((chunks) => resolve(Buffer.concat(chunks).toString()), reject);
      }).on('error', reject);
    });
  }

  it('is at / and, for browsers, at /graphql', async () => {
    const page = await pageOf(product);
    expect(page).toContain('YogaGraphiQL.renderYogaGraphiQL');
    expect(await pageOf(product, '/graphql')).toBe(page);
  });

  it('is not what a query by GET gets', async () => {
    const response = await fetch(`${product.url}/graphql?query={hello}`, { headers: { accept: 'text/html,*/*' } });
    expect(response.status).toBe(401);
  });

  it('has a token in it in the sandbox, never in the product', async () => {
    expect(await pageOf(sandbox)).toContain(token);
    expect(await pageOf(product)).not.toMatch(/Bearer ey/);
  });

  it('shows the token to no name but this machine, which a foreign one might point to', async () => {
    const { port } = sandbox;
    for (const host of ['localhost', `[::1]:${port}`]) expect(await withHost(port, host)).toContain(token);
    for (const host of ['evil.example', `127.0.0.1.evil.example:${port}`]) {
      expect(await withHost(port, host)).not.toContain(token);
    }
  });
});
