import { describe, expect, it } from 'vitest';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { VendorCloudSettings } from './settings.ts';

const settings = VendorCloudSettings.parse({});

/** A delivery that says this code, as the contract's envelope does. */
function decoded(code: string) {
  const [eventType = '', word] = code.replace('*', 'no_such_word').split('/');
  const isHealth = eventType.startsWith('health') || eventType === 'health';
  const event = {
    event_id: 'e1',
    event_type: eventType,
    device_id: 'd',
    site_id: 's',
    account_id: 'a',
    timestamp: '2026-02-04T14:32:00Z',
    data: word === undefined ? {} : isHealth ? { status: word } : { event: word },
  };
  const message = {
    body: Buffer.from(JSON.stringify(event)),
    headers: {},
    source: 'WEBHOOK',
    receivedAt: new Date(0),
  } as const;
  return decode(message, { settings, onlySite: null, profile: null })[0];
}

describe('the table of events', () => {
  it.each(eventTable.rows.map((row) => [row.code, row] as const))('%s is what its deliveries become', (code, row) => {
    const { type, family, severity } = row;
    const draft = decoded(code);
    expect(draft).toMatchObject({ type, family, severity });
    expect(draft?.unknownCode !== undefined).toBe(code.endsWith('*'));
    expect(eventTable.codesOf(type)).toContain(code);
  });
});
