import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openDatabase, type OpenDatabaseOptions } from '../../storage/open-database.ts';
import { createTestStore } from '../../storage/testing.ts';
import { acme, acmeBody, quiet, seed, signed, until } from '../testing.ts';
import { createProcessor } from './processor.ts';

const ROUNDS = 3;
/** Enough to be in the middle of accepting, storing and processing at once. */
const ACKNOWLEDGED_BEFORE_KILL = 120;
const SENDERS = 16;

/** Sends until the process is gone. @returns the ids that were acknowledged */
async function sendUntilKilled(options: OpenDatabaseOptions, round: number): Promise<string[]> {
  const script = fileURLToPath(new URL('./crash-child.ts', import.meta.url));
  const child = spawn(process.execPath, [script, options.url, options.schema ?? ''], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  const port = Number(String(line).trim());
  const agent = new Agent({ keepAlive: true, maxSockets: SENDERS });
  const acknowledged: string[] = [];
  let next = 0;

  function send(id: string): Promise<number> {
    const body = acmeBody({
      id,
      device: `cam-${(next % 2) + 1}`,
      state: next % 3 === 0 ? 'OFFLINE' : 'ONLINE',
      at: Date.now(),
    });
    return new Promise((resolve, reject) => {
      const req = request(
        { port, agent, host: '127.0.0.1', method: 'POST', path: '/webhooks/int_a', headers: signed(body, Date.now()) },
        (res) => {
          res.resume();
          resolve(res.statusCode ?? 0);
        },
      );
      req.on('error', reject);
      req.end(body);
    });
  }

  async function keepSending(): Promise<void> {
    for (;;) {
      const id = `round-${round}-${next++}`;
      if ((await send(id)) === 202) acknowledged.push(id);
      if (acknowledged.length >= ACKNOWLEDGED_BEFORE_KILL) child.kill('SIGKILL');
    }
  }

  await Promise.allSettled(Array.from({ length: SENDERS }, keepSending));
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  agent.destroy();
  return acknowledged;
}

describe.each(['sqlite', 'postgres'] as const)('kill -9 between acknowledgement and processing, on %s', (engine) => {
  it('loses no acknowledged delivery and doubles none', async () => {
    const store = await createTestStore(engine);
    try {
      const first = await openDatabase(store.options);
      await seed(first);
      await first.close();
      const acknowledged: string[] = [];
      for (let round = 0; round < ROUNDS; round++) acknowledged.push(...(await sendUntilKilled(store.options, round)));

      const db = await openDatabase(store.options);
      const processor = createProcessor({ db, vendors: [acme], logger: quiet });
      processor.start();
      await until(async () => {
        const waiting = await db.read.selectFrom('inbox').select('id').where('status', '=', 'PENDING').execute();
        return waiting.length === 0;
      });
      await processor.stop();
      // Devices that change so often flap, which is our own conclusion.
      const told = db.read.selectFrom('events').where('derived', '=', 0);
      const events = await told.select(['vendor_event_id', 'seq']).orderBy('seq').execute();
      const ids = events.map(({ vendor_event_id }) => vendor_event_id ?? '');
      expect(acknowledged.length).toBeGreaterThanOrEqual(ROUNDS * ACKNOWLEDGED_BEFORE_KILL);
      expect(new Set(ids).size).toBe(ids.length);
      expect(acknowledged.filter((id) => !ids.includes(id))).toEqual([]);
      // What the device is said to be is what its newest claim in the log says.
      for (const device of await db.read.selectFrom('devices').selectAll().execute()) {
        const claims = await told.selectAll().where('device_id', '=', device.id).execute();
        const newest = claims.toSorted((a, b) => b.occurred_at - a.occurred_at || b.seq - a.seq)[0];
        expect(device.state).toBe(newest?.state);
      }
      await db.close();
    } finally {
      await store.remove();
    }
  });
});
