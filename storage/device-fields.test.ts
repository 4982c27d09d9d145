import { describe, expect, it } from 'vitest';
import { fieldChanges, netFields, undoFields } from './device-fields.ts';
import { deviceRow, integrationRow } from './fixtures/directory-rows.ts';

const row = deviceRow(integrationRow('int_a', 'org_a'), 'door');

describe('the fields of a device', () => {
  it.each([
    [{ firmware: null }, { firmware: '2' }],
    [{ tags: '["a","b"]' }, { tags: '[]' }],
    [{ tags: '[]' }, { tags: '["a"]' }],
    [{ tags: '["a, b","c"]' }, { tags: '["a"]' }],
    [{ warranty_expires_at: 1_790_000_000_000 }, { warranty_expires_at: null }],
    [
      { name: 'Door', ip: '10.0.0.1' },
      { name: 'Gate', ip: null },
    ],
  ])('are %j again when their change to %j is undone', (before, after) => {
    const [was, is] = [
      { ...row, ...before },
      { ...row, ...after },
    ];
    expect(undoFields(is, fieldChanges(was, is))).toEqual(was);
  });

  it.each([
    ['52.5, 13.4', { latitude: 52.5, longitude: 13.4 }],
    [null, { latitude: null, longitude: null }],
    ['nowhere', { latitude: null, longitude: null }],
  ])('undo a place that was %s', (before, place) => {
    const moved = { ...row, latitude: 1, longitude: 2 };
    expect(undoFields(moved, [{ name: 'coordinates', before, after: '1, 2' }])).toEqual({ ...row, ...place });
  });

  it('leave out what they do not know, and nulls where there must be a value', () => {
    const fields = [
      { name: 'colour', before: 'red', after: 'blue' },
      { name: 'name', before: null, after: 'x' },
      { name: '__proto__', before: 'x', after: 'y' },
    ];
    expect(undoFields(row, fields)).toEqual(row);
  });

  it('keep of several changes the first value before and the last one after', () => {
    const change = (name: string, before: string | null, after: string | null) => ({ name, before, after });
    const changes = [[change('a', '1', '2'), change('b', '1', '2')], [change('a', '2', null)], [change('b', '2', '1')]];
    expect(netFields(changes)).toEqual([change('a', '1', null)]);
  });
});
