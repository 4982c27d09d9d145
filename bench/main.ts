import { benchBursts } from './bursts.ts';
import { benchDistinct } from './distinct.ts';
import { benchFanout } from './fanout.ts';
import { benchHistory } from './history.ts';
import { benchIdle } from './idle.ts';
import { benchIndexes } from './indexes.ts';
import { benchIngest } from './ingest.ts';
import { benchLatency } from './latency.ts';
import { benchOutage } from './outage.ts';
import { benchPlatforms } from './platforms.ts';
import { benchQuery } from './query.ts';
import { machineLine, type PartResult, tableOf } from './report.ts';
import { benchSoak } from './soak.ts';
import { benchStream } from './stream.ts';
import { benchSync } from './sync.ts';

// `npm run bench`, or `npm run bench -- query ingest` for some parts. Some take a size: `soak=5` is five minutes. What
// takes long is short or left out unless it is named.

interface Part {
  /** @param size null: the usual one */
  readonly run: (size: number | null) => Promise<PartResult>;
  /** Size when all parts run, null for the usual one; left out: not among them. */
  readonly inAll?: number | null;
  readonly takesSize?: true;
}

const STREAM_SECONDS = 5;
const SOAK_MINUTES = 30;
const OUTAGE_SECONDS = 600;

const PARTS = new Map<string, Part>([
  ['query', { run: benchQuery, inAll: null }],
  ['ingest', { run: benchIngest, inAll: null }],
  ['bursts', { run: benchBursts, inAll: null }],
  ['stream', { run: (seconds) => benchStream(seconds ?? STREAM_SECONDS), inAll: null, takesSize: true }],
  ['fanout', { run: benchFanout, inAll: null, takesSize: true }],
  ['distinct', { run: benchDistinct, inAll: null }],
  ['idle', { run: benchIdle, inAll: null, takesSize: true }],
  ['soak', { run: (minutes) => benchSoak(minutes ?? SOAK_MINUTES), inAll: 1, takesSize: true }],
  ['history', { run: benchHistory, inAll: null }],
  ['indexes', { run: benchIndexes, inAll: null }],
  ['sync', { run: benchSync, inAll: null }],
  ['latency', { run: benchLatency, inAll: null }],
  ['platforms', { run: benchPlatforms, inAll: null }],
  ['outage', { run: (seconds) => benchOutage(seconds ?? OUTAGE_SECONDS), takesSize: true }],
]);

function runnerOf(asked: string): (() => Promise<PartResult>) | null {
  const [name = '', size] = asked.split('=');
  const part = PARTS.get(name);
  if (part === undefined) return null;
  if (size === undefined) return () => part.run(null);
  return part.takesSize === true && Number(size) > 0 ? () => part.run(Number(size)) : null;
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => runnerOf(name) === null);
if (unknown.length > 0) {
  const names = [...PARTS].map(([name, { takesSize }]) => (takesSize === true ? `${name}[=size]` : name));
  console.error(`There is no part ${unknown.join(', ')}; there are ${names.join(', ')}.`);
  process.exitCode = 1;
} else {
  console.log(`${machineLine()}\n`);
  const all = [...PARTS].flatMap(([, { run, inAll }]) => (inAll === undefined ? [] : [() => run(inAll)]));
  const chosen = asked.map(runnerOf).filter((run) => run !== null);
  let areMet = true;
  for (const run of asked.length > 0 ? chosen : all) {
    try {
      const part = await run();
      areMet &&= part.figures.every(({ target }) => target?.isMet !== false);
      console.log(tableOf(part));
    } catch (error) {
      // The other parts have their say.
      console.error(error);
      process.exitCode = 1;
      areMet = false;
    }
  }
  console.log(areMet ? 'Every target was met.' : 'Some targets were missed, or could not be measured; see above.');
}
