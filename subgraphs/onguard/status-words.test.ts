import { describe, expect, it } from 'vitest';
import { inheritedStatus, readStatus } from './status-words.ts';

describe('readStatus', () => {
  it.each([
    ['panel', 1, 'ONLINE', 'REPORTED', []],
    ['panel', 0, 'OFFLINE', 'NETWORK', []],
    ['panel', 0x11, 'ONLINE', 'REPORTED', []],
    ['panel', 0x5, 'DEGRADED', 'TAMPER', ['cabinet tamper']],
    ['panel', 0x9, 'DEGRADED', 'POWER', ['power fail']],
    ['reader', 0x41, 'ONLINE', 'REPORTED', ['door held open']],
    ['reader', 0x21, 'ONLINE', 'REPORTED', ['door forced open']],
    ['reader', 0x1061, 'DEGRADED', 'OTHER', ['door forced open', 'door held open', 'door contact ground fault']],
    ['reader', 0x81, 'ONLINE', 'REPORTED', []],
    ['reader', 0x800001, 'DEGRADED', 'POWER', ['low battery']],
    ['reader', 0x2000001, 'DEGRADED', 'NETWORK', ['read head offline']],
    ['reader', 0x40, 'OFFLINE', 'NETWORK', ['door held open']],
    ['reader', '65', 'ONLINE', 'REPORTED', ['door held open']],
  ] as const)('reads the status %s %s as %s', (kind, flags, state, reason, troubles) => {
    expect(readStatus(kind, flags)).toMatchObject({ state, reason, troubles });
  });

  it('keeps the number with its meaning', () => {
    expect(readStatus('reader', 65).vendorState).toBe('65 (online, door held open)');
  });

  it.each([
    ['zz-unheard-of', 'zz-unheard-of'],
    [-1, null],
    [1.5, null],
    [null, null],
    [{}, null],
    ['', null],
  ])('takes %j for a state that it does not know', (value, vendorState) => {
    expect(readStatus('panel', value)).toEqual({ state: 'UNKNOWN', reason: null, vendorState, troubles: [] });
  });
});

describe('inheritedStatus', () => {
  it('is online below what works, faulty or not', () => {
    expect(inheritedStatus(readStatus('panel', 5))).toMatchObject({
      state: 'ONLINE',
      reason: 'REPORTED',
      troubles: [],
    });
  });

  it('is offline below a board that does not answer', () => {
    expect(inheritedStatus(readStatus('panel', 0))).toMatchObject({ state: 'OFFLINE', reason: 'PARENT_DOWN' });
  });
});
