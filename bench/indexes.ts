import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createLogger } from '../logger.ts';
import { openDatabase } from '../storage/open-database.ts';
import { startChild } from './child.ts';
import { fillLog } from './history.ts';
import type { HttpLoadCalls } from './http-load-child.ts';
import type { IntakeCalls } from './intake-child.ts';
import { median, roundsOf } from './measure.ts';
import { listedBy, widePlatform } from './memory-platform.ts';
import type { ProcessCalls } from './process-child.ts';
import type { ProductCalls } from './product-child.ts';
import { count, type PartResult } from './report.ts';

const SITES = 100;
const DEVICES_PER_SITE = 20;
/** Already in the log: an index of a few rows costs nothing. */
const LOGGED = 300_000;
const DELIVERIES = 10_000;
const BODY_BYTES = 1_024;
const CONNECTIONS = 64;
const ROUNDS = 3;

/** Indexes that only pages of the history are read by: nothing that makes events looks there. */
const HISTORY = `select name from sqlite_master where type = 'index' and tbl_name = 'events'
  and name like 'events\\_by\\_%occurred\\_at%' escape '\\' and name not like 'events\\_by\\_device%' escape '\\' order by name`;

function historyIndexes(db: DatabaseSync): readonly string[] {
  return db
    .prepare(HISTORY)
    .all()
    .map(({ name }) => String(name));
}

/** What the indexes for the history of events cost where events are made. */
export async function benchIndexes(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const children = {
    product: startChild<ProductCalls>('product-child.ts', 0),
    intake: startChild<IntakeCalls>('intake-child.ts', 0),
    load: startChild<HttpLoadCalls>('http-load-child.ts', 1),
  };
  const { product, intake, load } = children;
  try {
    const platform = widePlatform(SITES * DEVICES_PER_SITE, SITES);
    const filled = join(dir, 'filled');
    mkdirSync(filled);
    const file = (store: string): string => join(store, 'convergraph.db');
    await (await openDatabase({ url: `sqlite:${file(filled)}`, logger: createLogger('warn') })).close();
    fillLog(file(filled), LOGGED);
    await product.call('start', { dir: filled, platforms: 'memory' });
    const { integrations } = await product.call('fill', [platform]);
    await product.stop();
    const [integration] = integrations;
    const integrationId = integration?.id ?? '';
    const url = await intake.call('start', { dir: filled, platforms: 'memory' });
    const sender = { path: `/webhooks/${integrationId}`, secret: integration?.webhookSecret ?? '' };
    const events = { count: DELIVERIES, bytes: BODY_BYTES, ...listedBy(platform) };
    await load.call('prepareDeliveries', { ...sender, ...events });
    const port = Number(new URL(url).port);
    const { bad } = await load.call('run', { port, connections: CONNECTIONS, ms: null });
    if (bad > 0) throw new Error(`${bad} deliveries were refused`);
    await intake.stop();

    let names: readonly string[] = [];
    const drain = async (withIndexes: boolean): Promise<number> => {
      const copy = join(dir, 'copy');
      cpSync(filled, copy, { recursive: true });
      const db = new DatabaseSync(file(copy));
      names = historyIndexes(db);
      if (!withIndexes) for (const name of names) db.exec(`drop index "${name}"`);
      // Both without free pages, and nothing left to write.
      db.exec('vacuum; pragma wal_checkpoint(truncate)');
      const logged = (): number => Number(Object(db.prepare('select count(*) as n from events').get()).n);
      const before = logged();
      const worker = startChild<ProcessCalls>('process-child.ts', 0);
      const cpuMs = await worker
        .call('drain', { databaseUrl: `sqlite:${file(copy)}`, integrationId })
        .finally(() => worker.stop());
      const made = logged() - before;
      db.close();
      rmSync(copy, { recursive: true });
      if (made < DELIVERIES) throw new Error(`${made} events were made of ${DELIVERIES} deliveries`);
      return (DELIVERIES / cpuMs) * 1_000;
    };
    const rates: { with: number[]; without: number[] } = { with: [], without: [] };
    for (const withIndexes of roundsOf([true, false], ROUNDS)) {
      (withIndexes ? rates.with : rates.without).push(await drain(withIndexes));
    }
    const [withThem, without] = [median(rates.with), median(rates.without)];
    return {
      title: 'What the indexes of the history cost',
      figures: [
        {
          what: 'deliveries into events, with the indexes',
          value: `${count(withThem)} per CPU second`,
          baseline: `${count(without)} without them`,
          ratio: withThem / without,
        },
        { what: 'CPU for them, per event', value: `${((1 / withThem - 1 / without) * 1_000_000).toFixed(0)} µs` },
      ],
      notes: [
        `SQLite with ${count(LOGGED)} events in the log, ${SITES} sites; ${count(DELIVERIES)} deliveries of ${BODY_BYTES} bytes that wait, each a change of state, made into events by a process that does nothing else; ${ROUNDS} interleaved rounds, median.`,
        `Dropped for the comparison: ${names.join(', ')}.`,
      ],
    };
  } finally {
    await Promise.all(Object.values(children).map((child) => child.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}
