import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { type Example, loadExamples } from './examples.ts';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/**
 * The page has everything in it. The policy makes sure that it stays so: nothing may be loaded from or sent to anybody
 * else, which also keeps a pasted token here.
 */
const CONTENT_POLICY = [
  "default-src 'none'",
  // The editor compiles nothing, but is written into the page.
  "script-src 'unsafe-inline' blob:",
  'worker-src blob:',
  "style-src 'unsafe-inline'",
  'img-src data: blob:',
  'font-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Names under which a page on this machine is opened; another name may be somebody else's, pointed here. */
const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** What the sandbox puts into the page. The product never does. */
export interface PlaygroundDemo {
  /** Filled in as the bearer token. */
  readonly token: string;
  /** Values of the examples' variables by name, for example `org`. */
  readonly variables: Readonly<Record<string, unknown>>;
}

export interface Playground {
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/** Given values first; those that nobody can know are empty, optional ones are left out. */
function exampleVariables({ variables }: Example, values: Readonly<Record<string, unknown>>): string {
  const needed = variables.filter(({ name, type }) => Object.hasOwn(values, name) || type.endsWith('!'));
  return JSON.stringify(Object.fromEntries(needed.map(({ name }) => [name, values[name] ?? ''])), null, 2);
}

/**
 * The editor shows a first visitor no variables beside the first tab, and a returning one the tokens of an earlier
 * sandbox; both live in the browser's storage, which this puts right before the editor starts.
 */
function seedScript(variables: string, demo: PlaygroundDemo | null): string {
  return `<script>
    const tabs = localStorage.getItem('graphiql:tabState');
    if (tabs === null) localStorage.setItem('graphiql:variables', ${JSON.stringify(variables)});
    const token = ${JSON.stringify(demo?.token ?? null)};
    if (tabs !== null && token !== null) {
      localStorage.setItem('graphiql:tabState', tabs.replaceAll(/Bearer [\\w.-]+/g, 'Bearer ' + token));
    }
  </script>`;
}

async function renderPage(demo: PlaygroundDemo | null): Promise<Buffer> {
  // 9 MB of source; only processes that show the page pay for it.
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const headers = JSON.stringify({ authorization: `Bearer ${demo?.token ?? 'your token'}` }, null, 2);
  const tabs = loadExamples().map((example) => ({
    query: example.query,
    variables: exampleVariables(example, demo?.variables ?? {}),
    headers,
  }));
  const options = {
    title: 'Convergraph',
    endpoint: '/graphql',
    // Over HTTP the headers of the tab go along, the token among them; a WebSocket would not carry them.
    subscriptionsProtocol: 'SSE' as const,
    defaultTabs: tabs,
    headers,
    defaultEditorToolsVisibility: 'variables' as const,
    shouldPersistHeaders: demo !== null,
    credentials: 'omit' as const,
  };
  // The renderer writes them into a script as they are, and a tag would end it.
  if (JSON.stringify(options).includes('<')) throw new Error('the options of the playground contain markup');
  const page = renderGraphiQL(options);
  return compress(
    page.replace('<div id="root"></div>', () => `<div id="root"></div>\n${seedScript(tabs[0]?.variables ?? '', demo)}`),
  );
}

/** @param demo null in the product */
export function createPlayground(demo: PlaygroundDemo | null): Playground {
  const pages = new Map<boolean, Promise<Buffer>>();

  function page(withDemo: boolean): Promise<Buffer> {
    const known = pages.get(withDemo);
    if (known !== undefined) return known;
    const rendered = renderPage(withDemo ? demo : null);
    pages.set(withDemo, rendered);
    return rendered;
  }

  return {
    async answer(request, response) {
      // A foreign name that resolves to this machine would otherwise read the token out of the page.
      const withDemo = demo !== null && LOCAL_HOST.test(request.headers.host ?? '');
      const compressed = await page(withDemo);
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.setHeader('content-security-policy', CONTENT_POLICY);
      if (/\bgzip\b/.test(String(request.headers['accept-encoding']))) {
        response.setHeader('content-encoding', 'gzip');
        response.end(compressed);
      } else {
        response.end(await decompress(compressed));
      }
    },
  };
}
