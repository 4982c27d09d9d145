import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SandboxCredentials } from '../../sandbox/credentials.ts';
import { eventually } from '../e2e/rig.ts';

// The whole product with simulated platforms as a process of its own, as a user would start it: to be killed, stopped and
// starved.

const SCRIPT = new URL('../../sandbox/main.ts', import.meta.url).pathname;
const POSTGRES_SCRIPT = new URL('./postgres-sandbox.ts', import.meta.url).pathname;
const DEVICES = 30;

export interface SandboxProcessOptions {
  /** Of all platforms together; default 30. */
  readonly devices?: number;
  /** Of a PostgreSQL database instead of the embedded one. */
  readonly databaseUrl?: string | undefined;
}

export interface SandboxProcess {
  readonly child: ChildProcess;
  readonly credentials: SandboxCredentials;
  readonly url: string;
  readonly port: number;
  /** The embedded database, and its log beside it; there is none on PostgreSQL. */
  readonly databaseFile: string;
  /** What it wrote to standard output and standard error so far. */
  output(): string;
  /** Ends it without warning. */
  kill(): Promise<void>;
}

/** A folder for one sandbox; removed by the caller. */
export function sandboxFolder(): { readonly dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-fault-'));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** @param port 0 takes a free one; a process that follows another takes its port, which is where its platforms send to */
export async function startSandboxProcess(
  dir: string,
  port = 0,
  { devices = DEVICES, databaseUrl }: SandboxProcessOptions = {},
): Promise<SandboxProcess> {
  const command =
    databaseUrl === undefined
      ? [SCRIPT, '--still', '--devices', String(devices)]
      : [POSTGRES_SCRIPT, databaseUrl, String(devices), String(port)];
  const child = spawn(process.execPath, command, {
    cwd: dir,
    env: { PATH: process.env['PATH'], PORT: String(port), NODE_ENV: 'test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  try {
    await eventually(() => {
      if (child.exitCode !== null) throw new Error(`the sandbox ended: ${output}`);
      return output.includes('Convergraph sandbox:') ? true : undefined;
    }, 'the sandbox is up');
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const file = join(dir, '.sandbox', 'credentials.json');
  const credentials = SandboxCredentials.parse(JSON.parse(readFileSync(file, 'utf8')));
  const url = new URL(credentials.graphqlUrl);
  return {
    child,
    credentials,
    url: url.origin,
    port: Number(url.port),
    databaseFile: join(dir, '.sandbox', 'data', 'convergraph.db'),
    output: () => output,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
