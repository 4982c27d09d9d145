import { describe, expect, it } from 'vitest';
import { parseAccounts } from './account-routing.ts';

const found = (description: string) =>
  parseAccounts(description).map(({ system, receiver, line, account, group, zone }) =>
    [system, receiver, line, account, group, zone].map((part) => part ?? '-').join(' '),
  );

describe('a description', () => {
  it.each([
    ['Json:#4711', 'Json - - 4711 - -'],
    ['Json:#4711-7', 'Json - - 4711 - 7'],
    ['Json:#8800123456|12-034', 'Json - - 8800123456 12 034'],
    ['Json:#4711|-', 'Json - - 4711 - -'],
    ['SIA:#4711|01-012', 'SIA - - 4711 01 012'],
    ['SIA:R2L17#4711|01-012', 'SIA 2 17 4711 01 012'],
    ['SIA:#4711-012', 'SIA - - 4711 - 012'],
    ['Stages:L12#4711|1-3', 'Stages - 12 4711 1 3'],
    ['Stages:R1L12#4711', 'Stages 1 12 4711 - -'],
    ['Immix:S20417', 'Immix - - S20417 - -'],
    ['Sentinel:4711', 'Sentinel - - 4711 - -'],
    ['Patriot:0417-02', 'Patriot - - 0417 02 -'],
    ['json:#4711', 'Json - - 4711 - -'],
  ])('%s names an account', (description, expected) => {
    expect(found(description)).toEqual([expected]);
  });

  it.each([
    ['by the back gate'],
    ['Stages:#4711'],
    ['Json:4711'],
    ['Json:#4711|1234'],
    ['Stages:LA#4711'],
    ['Unknown:#1'],
    [''],
    ['constructor:#1'],
  ])('%s is a comment', (description) => {
    expect(found(description)).toEqual([]);
  });

  it('may name several among other words, and never more than ten', () => {
    expect(found('gate 3; Immix:S20417, Json:#4711')).toEqual(['Immix - - S20417 - -', 'Json - - 4711 - -']);
    expect(found('Sentinel:1 '.repeat(50))).toHaveLength(10);
  });

  it('of a hostile length costs no time', () => {
    expect(found(`Json:#${'1|'.repeat(100_000)}`)).toEqual([]);
  });
});
