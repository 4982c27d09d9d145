import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { startTestGateway, type TestGateway } from '../gateway/testing.ts';
import { openPage, type Page } from './setup/browser.ts';

// The real page in a real browser. Everything in the page is loaded by it: what only appears as text proves little.

let test: TestGateway;
let page: Page | undefined;

beforeAll(async () => {
  test = await startTestGateway({ demo: (token) => ({ token, variables: { org: 'org_of_the_sandbox' } }) });
});
afterEach(() => page?.close());
afterAll(() => test.close());

const BUTTON = "document.querySelector('.graphiql-execute-button')";

async function open(path: string): Promise<Page> {
  page = await openPage(`${test.url}${path}`);
  await waitFor('document.querySelectorAll(".graphiql-editor .view-line").length > 0');
  return page;
}

function waitFor(expression: string): Promise<unknown> {
  return vi.waitUntil(() => page?.evaluate(expression), { timeout: 20_000, interval: 100 });
}

function textOf(selector: string): string {
  // The editor writes spaces that do not break.
  return `(document.querySelector('${selector}')?.innerText ?? '').replaceAll('\\u00a0', ' ')`;
}

describe('the playground', () => {
  it('has the examples, their variables and the token in it, and loads nothing from elsewhere', async () => {
    const { requests, complaints, evaluate } = await open('/');
    await waitFor(`${textOf('.graphiql-variable-editor, [aria-label="Variables"]')}.includes('org_of_the_sandbox')`);
    const text = String(await evaluate('document.body.innerText'));
    for (const tab of ['InventoryPage', 'HealthFeed', 'BindAndSync', 'IntegrationWatch']) expect(text).toContain(tab);
    // It asked for the schema by itself, with the token.
    await vi.waitUntil(() => test.engine.requests.length > 0);
    expect(complaints).toEqual([]);
    expect(requests.length).toBeGreaterThan(1);
    expect(requests.filter((url) => !url.startsWith(`${test.url}/`))).toEqual([]);
  });

  it('runs a query', async () => {
    const { evaluate } = await open('/?query=%7B%20hello%20%7D');
    await evaluate(`${BUTTON}.click()`);
    await waitFor(`${textOf('.result-window')}.includes('hello world')`);
    expect(await evaluate(textOf('.result-window'))).toContain('"hello": "hello world"');
  });

  it('runs a subscription', async () => {
    const { evaluate } = await open('/?query=subscription%20%7B%20ticks%20%7D');
    await evaluate(`${BUTTON}.click()`);
    await vi.waitUntil(() => test.engine.sinks.size === 1);
    test.engine.push('{"data":{"ticks":1}}');
    await waitFor(`${textOf('.result-window')}.includes('"ticks": 1')`);
    test.engine.push('{"data":{"ticks":42}}');
    await waitFor(`${textOf('.result-window')}.includes('"ticks": 42')`);
    expect(await evaluate(textOf('.result-window'))).toContain('"ticks": 42');
    await page?.close();
    // The browser is gone, and so is its stream.
    await vi.waitUntil(() => test.engine.sinks.size === 0);
  });
});
