import { describe, expect, it } from 'vitest';
import { boolOf, intOf, ipOf, propertiesOf, textOf } from './properties.ts';

describe('properties', () => {
  it('are found in any letter case', () => {
    expect(intOf(propertiesOf({ PANELID: 5 }), 'PanelID')).toBe(5);
    expect(textOf(propertiesOf({ nAmE: ' Lobby ' }), 'Name')).toBe('Lobby');
  });

  it('may be numbers as text, and truth as text or number', () => {
    expect(intOf(propertiesOf({ ID: '17' }), 'id')).toBe(17);
    expect(intOf(propertiesOf({ ID: '17a' }), 'id')).toBeNull();
    expect(boolOf(propertiesOf({ IsOnline: 'False' }), 'isonline')).toBe(false);
    expect(boolOf(propertiesOf({ IsOnline: 1 }), 'isonline')).toBe(true);
  });

  it.each([
    [353_020_096, '192.168.10.21'],
    [-939_524_086, '10.0.0.200'],
    ['192.168.1.2', '192.168.1.2'],
    [0, null],
    ['0.0.0.0', null],
    ['og01', null],
  ])('have the address %j as %s', (value, ip) => {
    expect(ipOf(propertiesOf({ PrimaryIPAddress: value }), 'PrimaryIPAddress')).toBe(ip);
  });

  it.each([null, [], 'text', 7])('are none in %j', (value) => {
    expect(propertiesOf(value).size).toBe(0);
  });
});
