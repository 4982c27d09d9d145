import { benchBursts } from './bursts.ts';
import { benchFanout } from './fanout.ts';
import { benchHistory } from './history.ts';
import { benchIngest } from './ingest.ts';
import { benchLatency } from './latency.ts';
import { benchOutage } from './outage.ts';
import { benchPlatforms } from './platforms.ts';
import { benchQuery } from './query.ts';
import { machineLine, type PartResult, tableOf } from './report.ts';
import { benchStream } from './stream.ts';
import { benchSync } from './sync.ts';

// `npm run bench`, or `npm run bench -- query ingest` for some parts. What takes minutes runs only when it is named:
// `npm run bench -- outage` or, for another length in seconds, `outage=60`.

const OUTAGE_SECONDS = 600;

const PARTS = new Map<string, () => Promise<PartResult>>([
  ['query', benchQuery],
  ['ingest', benchIngest],
  ['bursts', benchBursts],
  ['history', benchHistory],
  ['fanout', benchFanout],
  ['sync', benchSync],
  ['latency', benchLatency],
  ['platforms', benchPlatforms],
]);

/** Short enough to be run every day; `stream=1800` is the soak. */
const STREAM_SECONDS = 12;

const LONG_PARTS = new Map<string, (length: number | null) => Promise<PartResult>>([
  ['stream', (seconds) => benchStream(seconds ?? STREAM_SECONDS)],
  ['outage', (seconds) => benchOutage(seconds ?? OUTAGE_SECONDS)],
]);

function runnerOf(name: string): (() => Promise<PartResult>) | undefined {
  const [part = '', length] = name.split('=');
  const long = LONG_PARTS.get(part);
  if (long === undefined) return PARTS.get(name);
  const seconds = length === undefined ? null : Number(length);
  return seconds === null || seconds > 0 ? () => long(seconds) : undefined;
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => runnerOf(name) === undefined);
if (unknown.length > 0) {
  console.error(
    `There is no part ${unknown.join(', ')}; there are ${[...PARTS.keys(), ...LONG_PARTS.keys()].join(', ')}.`,
  );
  process.exitCode = 1;
} else {
  console.log(`${machineLine()}\n`);
  for (const name of asked.length > 0 ? asked : [...PARTS.keys(), 'stream']) {
    const part = await runnerOf(name)?.();
    if (part !== undefined) console.log(tableOf(part));
  }
}
