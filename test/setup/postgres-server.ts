import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findPostgresBinaries, HOW_TO_INSTALL } from './postgres-binaries.ts';

const USER = 'convergraph';
const PASSWORD = 'for-tests-only';
/** Another run may take the port between our asking for a free one and PostgreSQL's binding it. */
const MAX_ATTEMPTS = 5;

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '300',
  shared_buffers: '64MB',
  // The data is thrown away: what a power cut would do is not of interest here.
  fsync: 'off',
  full_page_writes: 'off',
};

/**
 * Stays between us and PostgreSQL, because we may be killed: when its standard input ends it stops the server and
 * removes the directory ($1). The rest of the arguments is the server's command.
 */
const GUARDIAN = `
  directory=$1; shift
  exec 3<&0
  "$@" <&- 3<&- & server=$!
  (cat <&3 >/dev/null; kill -QUIT $server 2>/dev/null) & watcher=$!
  wait $server
  rm -rf "$directory"
  kill $watcher 2>/dev/null`;

export interface PostgresServer {
  readonly url: string;
  stop(): Promise<void>;
}

interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** A private server on a random port of the loopback interface, with data in a temporary directory. */
export async function startPostgres(): Promise<PostgresServer> {
  const binaries = findPostgresBinaries();
  if (binaries === null) throw new Error(HOW_TO_INSTALL);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce(binaries);
    } catch (error) {
      if (attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function startOnce(binaries: string): Promise<PostgresServer> {
  const account = unprivilegedAccount();
  const directory = mkdtempSync(join(tmpdir(), 'convergraph-postgres-'));
  if (account.uid !== undefined) chownSync(directory, account.uid, account.gid ?? account.uid);
  const data = join(directory, 'data');
  const options = { ...account, cwd: directory, env: { LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] ?? '' } };
  try {
    initialize(binaries, directory, data, options);
    const port = await freePort();
    const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const command = [join(binaries, 'postgres'), '-D', data, '-p', String(port), ...settings];
    const guardian = spawn('sh', ['-c', GUARDIAN, 'sh', directory, ...command], {
      ...options,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    await untilReady(guardian);
    return {
      url: `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres`,
      async stop() {
        const ended = once(guardian, 'exit');
        guardian.stdin?.end();
        await ended;
      },
    };
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

function initialize(binaries: string, directory: string, data: string, options: object): void {
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, PASSWORD);
  const initdb = join(binaries, 'initdb');
  // A locale that sorts unlike bytes: what relies on the server's order fails here and not at a customer's.
  const version = /(\d+)/.exec(spawnSync(initdb, ['--version'], { encoding: 'utf8' }).stdout)?.[1];
  const locale = Number(version) >= 15 ? ['--locale-provider=icu', '--icu-locale=en-US'] : [];
  const args = ['-D', data, '-U', USER, '-A', 'password', '--pwfile', passwordFile, '-E', 'UTF8', '-N', ...locale];
  const { status, stderr } = spawnSync(initdb, args, { ...options, encoding: 'utf8' });
  if (status !== 0) throw new Error(`initdb failed: ${stderr}`);
}

/** PostgreSQL refuses to run as root. */
function unprivilegedAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const account = accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody');
  return { uid: Number(account?.[2]), gid: Number(account?.[3]) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function untilReady(guardian: ChildProcess): Promise<void> {
  if (guardian.stderr === null) throw new Error('PostgreSQL has no standard error');
  const said: string[] = [];
  await new Promise<void>((resolve, reject) => {
    guardian.once('exit', () => reject(new Error(`PostgreSQL did not start: ${said.join('\n')}`)));
    // Read to the end: a full pipe would stop the server.
    createInterface(guardian.stderr ?? process.stdin).on('line', (line) => {
      if (said.length < 20) said.push(line);
      if (line.includes('ready to accept connections')) resolve();
    });
  });
}
