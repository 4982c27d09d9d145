import { parseArgs } from 'node:util';
import type { Violation } from './check.ts';
import { torture, type TortureOptions } from './torture.ts';

// npm run torture -- [--kills] [--engine sqlite|postgres] [--minutes 2] [--rate 300] [--devices 30] [--seed 1]

const MAX_MINUTES = 24 * 60;
const MAX_DEVICES = 10_000;
/** Events a second; with nothing but kills the product has more time to take them. */
const RATE = 300;
const KILLS_RATE = 2_000;
/** More take longer to start with, and that is time without kills. */
const KILLS_DEVICES = 60;
const KINDS = ['lost', 'doubled', 'gap', 'other'] as const satisfies readonly Violation['kind'][];

function number(text: string, name: string, min: number, max: number): number {
  const value = Number(text);
  if (!(value >= min && value <= max)) throw new RangeError(`--${name} must be from ${min} to ${max}`);
  return value;
}

function engineOf(text: string): NonNullable<TortureOptions['engine']> {
  if (text !== 'sqlite' && text !== 'postgres') throw new RangeError('--engine must be sqlite or postgres');
  return text;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    kills: { type: 'boolean', default: false },
    engine: { type: 'string', default: 'sqlite' },
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string' },
    devices: { type: 'string' },
  },
});
const isKills = values.kills;
const options = {
  seconds: number(values.minutes, 'minutes', 0.1, MAX_MINUTES) * 60,
  seed: number(values.seed, 'seed', 0, 4_294_967_295),
  rate: number(values.rate ?? String(isKills ? KILLS_RATE : RATE), 'rate', 1, 20_000),
  devices: number(values.devices ?? String(isKills ? KILLS_DEVICES : 30), 'devices', 30, MAX_DEVICES),
  engine: engineOf(values.engine),
  faults: isKills ? 'kills' : 'all',
} as const;
say(
  `${options.seconds} s at ${options.rate} events/s on ${options.engine}, ${isKills ? 'kill -9 of any process' : 'all faults'}, seed ${options.seed}`,
);
const { faults, startsMs, loadMs, load, logged, subscribers, violations } = await torture({ ...options, say });
say('');
say(
  `faults        ${Object.entries(faults)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')}`,
);
say(`starts        ${startsMs.length}, slowest ${Math.max(...startsMs)} ms`);
say(
  `events        ${load.made} made and ${load.acknowledged} acknowledged in ${Math.round(loadMs / 1_000)} s (${Math.round((load.acknowledged / loadMs) * 1_000)}/s), ${logged} in the log with those that follow from them`,
);
say(
  `deliveries    ${load.repeated} repeated, ${load.saidDuplicate} said to be duplicates, ${load.cut} cut off, ${load.refused} refused with 503`,
);
for (const { name, events, connections } of subscribers) {
  say(`reader        ${name}: ${events} events over ${connections} connections`);
}
for (const { kind, text } of violations.slice(0, 20)) say(`VIOLATION     ${kind}: ${text}`);
say(
  `violations    ${KINDS.map((kind) => `${kind} ${violations.filter((violation) => violation.kind === kind).length}`).join(', ')}`,
);
say(violations.length === 0 ? 'everything adds up' : 'it does not add up');
process.exitCode = violations.length === 0 ? 0 : 1;
