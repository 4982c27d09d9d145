import { describe, expect, it } from 'vitest';
import { ruleOf } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { SENSOR_KINDS, type SensorKind, SIGNALS } from './words.ts';

const KINDS: ReadonlySet<string> = new Set(SENSOR_KINDS);

/** `fire alarm active` to the reading that it stands for. */
function read(code: string) {
  const parts = code.replace('*', 'no_such_value').split(' ');
  const kind = KINDS.has(parts[0] ?? '') && parts.length === 3 ? parts.shift() : undefined;
  const [word = '', value = ''] = parts;
  const signal = SIGNALS.find((each) => each === word);
  return { signal, value, kind: SENSOR_KINDS.find((each): each is SensorKind => each === kind) ?? null };
}

const readings = eventTable.rows.filter(({ code }) => code !== 'report');

describe('the table of events', () => {
  it.each(readings.map((row) => [row.code, row] as const))('%s is what a reading becomes', (code, row) => {
    const { signal, value, kind } = read(code);
    if (signal === undefined) throw new TypeError(`${code} names no signal`);
    const { type, family, severity } = row;
    expect(ruleOf({ signal, value }, kind)).toMatchObject({ type, family, severity });
  });
});
