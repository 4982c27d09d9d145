import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createLogger } from '../logger.ts';
import type { EventFamily } from '../schema/words.ts';
import { countHistory, readHistory } from '../storage/event-history.ts';
import type { EventFilter } from '../storage/event-log-filter.ts';
import { openDatabase } from '../storage/open-database.ts';
import { count, type PartResult } from './report.ts';

const EVENTS = 5_000_000;
const ORGS = 20;
const SITES_PER_ORG = 50;
const DEVICES_PER_SITE = 20;
const DAYS = 90;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 20);
const PAGE = 100;
const ROUNDS = 15;
const TARGET_MS = 20;
/** Of a hundred events; the rest are of health. */
const SHARES = [
  ['ALARM', 8],
  ['ACCESS', 12],
  ['VIDEO', 4],
  ['SENSOR', 5],
  ['SYSTEM', 1],
] as const;

function familyOf(number: number): EventFamily {
  let place = (number * 37) % 100;
  for (const [family, share] of SHARES) {
    if (place < share) return family;
    place -= share;
  }
  return 'HEALTH';
}

/** Written past the product, which would take an hour: only the reading is measured. Indexes are made at the end. */
export function fillLog(file: string, events: number): void {
  const db = new DatabaseSync(file);
  db.exec('pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-400000');
  const indexes = db
    .prepare("select name, sql from sqlite_master where type = 'index' and tbl_name = 'events' and sql is not null")
    .all();
  for (const { name } of indexes) db.exec(`drop index "${String(name)}"`);
  const insert =
    db.prepare(`insert into events (seq, key, org_id, site_id, device_id, integration_id, family, type, severity,
    occurred_at, received_at, late, origin, summary, changed, details, media, raw) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'WEBHOOK', ?, 0, ?, '[]', ?)`);
  const raw = JSON.stringify({ text: 'x'.repeat(200) });
  const key = Buffer.alloc(16);
  db.exec('begin');
  for (let seq = 1; seq <= events; seq++) {
    const spread = Math.imul(seq, 2_654_435_761) >>> 0;
    const [org, site, device] = [spread % ORGS, (spread >>> 5) % SITES_PER_ORG, (spread >>> 11) % DEVICES_PER_SITE];
    const family = familyOf(seq);
    // Some come late, by up to a day.
    const at = NOW - Math.floor(((events - seq) / events) * DAYS * DAY_MS) - (spread % 50 === 0 ? spread % DAY_MS : 0);
    key.writeUInt32BE(Math.floor(at / 60_000), 0);
    key.writeUInt32BE(seq, 4);
    key.writeUInt32BE(spread, 8);
    const siteId = `site_${org}_${site}`;
    const actors =
      family !== 'ALARM' ? {} : { actors: [{ kind: spread % 10 < 6 ? 'person' : 'car', confidence: 0.9 }] };
    insert.run(
      seq,
      key,
      `org_${org}`,
      siteId,
      `dev_${org}_${site}_${device}`,
      `int_${org}`,
      family,
      `${family.toLowerCase()}.reported`,
      spread % 4,
      at,
      at + 1_000,
      'What happened, in one line for people',
      JSON.stringify(actors),
      raw,
    );
  }
  db.exec('commit');
  for (const { sql } of indexes) db.exec(String(sql));
  db.exec(`update sequence_heads set value = ${events} where name = 'log'`);
  db.close();
}

/** Every combination of what the timeline filters by, and what a principal's scope adds. */
function combinations(): readonly (readonly [string, EventFilter])[] {
  const members: readonly (readonly [string, EventFilter])[] = [
    ['site', { siteIds: ['site_3_7'] }],
    ['families', { families: ['ALARM', 'ACCESS', 'VIDEO', 'SENSOR'] }],
    ['a day', { occurredAt: { gte: NOW - 30 * DAY_MS, lt: NOW - 29 * DAY_MS } }],
    ['actor', { actors: ['person'] }],
    ['planned work too', { includeMaintenance: true }],
  ];
  return Array.from({ length: 2 ** members.length }, (_, bits) => {
    const chosen = members.filter((__, at) => ((bits >> at) & 1) === 1);
    return [
      chosen.map(([name]) => name).join(' + ') || 'everything',
      Object.assign({}, ...chosen.map(([, filter]) => filter)),
    ];
  });
}

/** First pages of the history of a large log. */
export async function benchHistory(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const file = join(dir, 'log.db');
  const logger = createLogger('warn');
  const url = `sqlite:${file}`;
  try {
    await (await openDatabase({ url, logger })).close();
    fillLog(file, EVENTS);
    const db = await openDatabase({ url, logger });
    const everything = { orgIds: 'all', siteIds: null } as const;
    const oneOrg = { orgIds: ['org_3'], siteIds: null };
    const threeSites = { orgIds: ['org_3'], siteIds: ['site_3_7', 'site_3_8', 'site_3_9'] };
    const rare: readonly (readonly [string, EventFilter])[] = [
      ['of a family that never happened', { families: ['COMMAND'] }],
      ['of an actor that nobody saw', { actors: ['zebra'] }],
    ];
    const asked = [
      ...combinations().map(([name, filter]) => ({ name, filter, access: everything })),
      ...combinations().map(([name, filter]) => ({ name: `${name}, of one org`, filter, access: oneOrg })),
      ...combinations().map(([name, filter]) => ({ name: `${name}, of three sites`, filter, access: threeSites })),
    ];
    const timesOf = async (work: () => Promise<unknown>): Promise<number> => {
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const since = performance.now();
        await work();
        times.push(performance.now() - since);
      }
      return times.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
    };
    const pages: { name: string; ms: number }[] = [];
    const counts: number[] = [];
    for (const { name, filter, access } of asked) {
      const selection = { access, filter };
      pages.push({ name, ms: await timesOf(() => readHistory(db, selection, null, PAGE + 1)) });
      counts.push(await timesOf(() => countHistory(db, selection)));
    }
    const rarePages: number[] = [];
    for (const [, filter] of rare) {
      rarePages.push(await timesOf(() => readHistory(db, { access: everything, filter }, null, PAGE + 1)));
    }
    const slowest = pages.toSorted((a, b) => b.ms - a.ms);
    const [worst] = slowest;
    const plain = pages[0]?.ms ?? Number.NaN;
    await db.close();
    return {
      title: `History of ${count(EVENTS)} events`,
      figures: [
        {
          what: `first page of ${PAGE}, unfiltered`,
          value: `${plain.toFixed(1)} ms`,
          target: { text: `${TARGET_MS} ms`, isMet: plain <= TARGET_MS },
        },
        {
          what: `first page, the slowest of ${asked.length} combinations of filter and scope (${worst?.name})`,
          value: `${worst?.ms.toFixed(1)} ms`,
          target: { text: `${TARGET_MS} ms`, isMet: (worst?.ms ?? Number.NaN) <= TARGET_MS },
        },
        {
          what: 'a page of what never happened, before it says where to go on',
          value: `${Math.max(...rarePages).toFixed(1)} ms`,
          target: { text: `${TARGET_MS} ms`, isMet: Math.max(...rarePages) <= TARGET_MS },
        },
        { what: 'totalCount, the slowest of them', value: `${Math.max(...counts).toFixed(1)} ms` },
      ],
      notes: [
        `SQLite; ${ORGS} orgs with ${SITES_PER_ORG} sites of ${DEVICES_PER_SITE} devices each, ${DAYS} days, 1 of 50 events late by up to a day; medians of ${ROUNDS}.`,
        'totalCount is null when more than 10,000 events would have to be looked at.',
      ],
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
