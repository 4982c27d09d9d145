import { parseArgs } from 'node:util';
import { torture } from './torture.ts';

// npm run torture -- [--minutes 2] [--seed 1] [--rate 300]

const MAX_MINUTES = 24 * 60;

function number(text: string, name: string, min: number, max: number): number {
  const value = Number(text);
  if (!(value >= min && value <= max)) throw new RangeError(`--${name} must be from ${min} to ${max}`);
  return value;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '300' },
  },
});
const options = {
  seconds: number(values.minutes, 'minutes', 0.1, MAX_MINUTES) * 60,
  seed: number(values.seed, 'seed', 0, 4_294_967_295),
  rate: number(values.rate, 'rate', 1, 20_000),
};
say(`${options.seconds} s at ${options.rate} events/s, seed ${options.seed}`);
const { faults, startsMs, load, logged, subscribers, violations } = await torture({ ...options, say });
say('');
say(
  `faults        ${Object.entries(faults)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')}`,
);
say(`starts        ${startsMs.length}, slowest ${Math.max(...startsMs)} ms`);
say(
  `events        ${load.made} made, ${load.acknowledged} acknowledged, ${logged} in the log with those of the platforms`,
);
say(
  `deliveries    ${load.repeated} repeated, ${load.saidDuplicate} said to be duplicates, ${load.cut} cut off, ${load.refused} refused with 503`,
);
for (const { name, events, connections } of subscribers) {
  say(`reader        ${name}: ${events} events over ${connections} connections`);
}
for (const violation of violations.slice(0, 20)) say(`VIOLATION     ${violation}`);
say(violations.length === 0 ? 'everything adds up' : `${violations.length} violations`);
process.exitCode = violations.length === 0 ? 0 : 1;
