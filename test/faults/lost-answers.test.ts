import { describe, expect, it, onTestFinished } from 'vitest';
import { acmeBody, NOON, seed, signed } from '../../pipeline/testing.ts';
import { openDatabase } from '../../storage/open-database.ts';
import { createTestStore } from '../../storage/testing.ts';
import { startCuttingProxy } from './cutting-proxy.ts';
import { post, startIntakeServer } from './intake-server.ts';

const body = acmeBody({ id: 'once', device: 'cam-1', state: 'OFFLINE', at: NOON });
const headers = signed(body, NOON);

describe.each(['sqlite', 'postgres'] as const)('an answer that is lost after the commit, on %s', (engine) => {
  it('is made up for by the retry of the sender: a duplicate, one delivery, one event', async () => {
    const store = await createTestStore(engine);
    const db = await openDatabase(store.options);
    await seed(db);
    const server = await startIntakeServer(db, () => NOON);
    const proxy = await startCuttingProxy({ host: '127.0.0.1', port: server.port });
    onTestFinished(async () => {
      proxy.close();
      await server.close();
      await db.close();
      await store.remove();
    });
    proxy.cutAnswerTo('POST /webhooks');
    await expect(post(proxy.port, headers, body)).rejects.toThrow('socket hang up');
    expect(proxy.cuts).toBe(1);
    expect(await post(proxy.port, headers, body)).toEqual({ status: 200, isDuplicate: true });
    await server.processor.process('int_a');
    expect(await db.read.selectFrom('inbox').select('status').execute()).toEqual([{ status: 'DONE' }]);
    expect(await db.read.selectFrom('events').select('vendor_event_id').execute()).toEqual([
      { vendor_event_id: 'once' },
    ]);
  });
});

/** The product on PostgreSQL with the proxy between them, and a way to look past it. */
async function openThroughProxy() {
  const store = await createTestStore('postgres');
  const direct = await openDatabase(store.options);
  await seed(direct);
  const target = new URL(store.options.url);
  const proxy = await startCuttingProxy({ host: target.hostname, port: Number(target.port) });
  const through = new URL(target);
  through.port = String(proxy.port);
  const db = await openDatabase({ ...store.options, url: through.href });
  const server = await startIntakeServer(db, () => NOON);
  onTestFinished(async () => {
    await server.close();
    await db.close();
    proxy.close();
    await direct.close();
    await store.remove();
  });
  return { direct, proxy, server };
}

describe('an answer of PostgreSQL that is lost after the commit', () => {
  it('is answered with 503, and the retry with a duplicate: one delivery, one event', async () => {
    const { direct, proxy, server } = await openThroughProxy();
    proxy.cutAnswerTo('commit', 'insert into "inbox"');
    const first = await post(server.port, headers, body);
    expect(proxy.cuts).toBe(1);
    // Nobody can know, so nothing is promised; the sender comes again.
    expect(first).toEqual({ status: 503, isDuplicate: false });
    expect(await direct.read.selectFrom('inbox').select('status').execute()).toHaveLength(1);
    expect(await post(server.port, headers, body)).toEqual({ status: 200, isDuplicate: true });
    await server.processor.process('int_a');
    expect(await direct.read.selectFrom('inbox').select('status').execute()).toEqual([{ status: 'DONE' }]);
    expect(await direct.read.selectFrom('events').select('seq').execute()).toHaveLength(1);
  });

  it('makes no second event when it was of the transaction that wrote the event', async () => {
    const { direct, proxy, server } = await openThroughProxy();
    expect(await post(server.port, headers, body)).toEqual({ status: 202, isDuplicate: false });
    proxy.cutAnswerTo('commit', 'insert into "events"');
    // It fails for the processor, which looks again at what is still to be done.
    await server.processor.process('int_a').catch(() => undefined);
    expect(proxy.cuts).toBe(1);
    await server.processor.process('int_a');
    expect(await direct.read.selectFrom('inbox').select('status').execute()).toEqual([{ status: 'DONE' }]);
    expect(await direct.read.selectFrom('events').select('seq').execute()).toHaveLength(1);
  });
});
