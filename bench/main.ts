import { benchFanout } from './fanout.ts';
import { benchIngest } from './ingest.ts';
import { benchLatency } from './latency.ts';
import { benchPlatforms } from './platforms.ts';
import { benchQuery } from './query.ts';
import { machineLine, type PartResult, tableOf } from './report.ts';
import { benchSync } from './sync.ts';

// `npm run bench`, or `npm run bench -- query ingest` for some parts.

const PARTS = new Map<string, () => Promise<PartResult>>([
  ['query', benchQuery],
  ['ingest', benchIngest],
  ['fanout', benchFanout],
  ['sync', benchSync],
  ['latency', benchLatency],
  ['platforms', benchPlatforms],
]);

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !PARTS.has(name));
if (unknown.length > 0) {
  console.error(`There is no part ${unknown.join(', ')}; there are ${[...PARTS.keys()].join(', ')}.`);
  process.exitCode = 1;
} else {
  console.log(`${machineLine()}\n`);
  for (const name of asked.length > 0 ? asked : PARTS.keys()) {
    const part = await PARTS.get(name)?.();
    if (part !== undefined) console.log(tableOf(part));
  }
}
