import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { WebSocket } from 'ws';

// A browser without a window, driven over the Chrome DevTools Protocol: enough to look at one page.
// @see https://chromedevtools.github.io/devtools-protocol/

export const HOW_TO_INSTALL_BROWSER = 'The tests need a browser: install it with `apt-get install chromium` as root.';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** @returns null when there is none */
export function findBrowser(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file)) ?? null;
}

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export interface Page {
  /** Addresses that were asked for so far, inline ones (`data:`, `blob:`) left out. */
  readonly requests: readonly string[];
  /** What the page complained about: uncaught errors and violations of its content policy. */
  readonly complaints: readonly string[];
  /** @param expression JavaScript; its value must be JSON */
  readonly evaluate: (expression: string) => Promise<unknown>;
  /** @returns PNG */
  readonly screenshot: () => Promise<Buffer>;
  /** Safe to call again. */
  readonly close: () => Promise<void>;
}

function debuggerAddress(browser: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    browser.stderr?.on('data', (chunk) => {
      text += String(chunk);
      const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
      if (address !== undefined) resolve(address);
    });
    browser.once('exit', () => reject(new Error(`the browser did not start: ${text.slice(0, 2_000)}`)));
  });
}

/** Opens a page in a browser of its own, which cannot resolve any name but this machine's. */
export async function openPage(url: string): Promise<Page> {
  const program = findBrowser();
  if (program === null) throw new Error(HOW_TO_INSTALL_BROWSER);
  const profile = mkdtempSync(join(tmpdir(), 'browser-'));
  const browser = spawn(
    program,
    [
      '--headless',
      // As root, which containers are, Chromium refuses to start with its sandbox; the page is our own.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
      '--window-size=1400,900',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const socket = new WebSocket(await debuggerAddress(browser));
  await new Promise((resolve) => socket.once('open', resolve));
  const waiting = new Map<number, (answer: Answer) => void>();
  const requests: string[] = [];
  const complaints: string[] = [];
  let lastId = 0;
  /** Empty until the page is attached to. */
  const session: { sessionId?: unknown } = {};

  async function call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    lastId += 1;
    const id = lastId;
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params, ...session }));
    const { result, error } = await answered;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  socket.on('message', (data) => {
    const answer: Answer = JSON.parse(Buffer.isBuffer(data) ? data.toString() : '{}');
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
    const text = JSON.stringify(answer.params ?? {});
    const address = /"url":"((?:https?|wss?):[^"]*)"/.exec(text)?.[1] ?? '';
    if (answer.method === 'Network.requestWillBeSent' || answer.method === 'Network.webSocketCreated') {
      if (address !== '') requests.push(address);
    }
    if (answer.method === 'Runtime.exceptionThrown') complaints.push(text);
    if (answer.method === 'Log.entryAdded' && text.includes('Content Security Policy')) complaints.push(text);
  });

  const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
  const attached = await call('Target.attachToTarget', { targetId, flatten: true });
  session.sessionId = attached['sessionId'];
  for (const domain of ['Network', 'Page', 'Runtime', 'Log']) await call(`${domain}.enable`);
  await call('Page.navigate', { url });

  return {
    requests,
    complaints,
    async evaluate(expression) {
      const { result } = await call('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
      return typeof result === 'object' && result !== null && 'value' in result ? result.value : undefined;
    },
    async screenshot() {
      const { data } = await call('Page.captureScreenshot', { format: 'png' });
      return Buffer.from(String(data), 'base64');
    },
    async close() {
      if (browser.exitCode !== null || browser.signalCode !== null) return;
      const exited = new Promise((resolve) => browser.once('exit', resolve));
      socket.terminate();
      browser.kill('SIGKILL');
      await exited;
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}
