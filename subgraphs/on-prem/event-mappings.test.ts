import { describe, expect, it } from 'vitest';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';

describe('the table of events', () => {
  it.each(eventTable.rows.map((row) => [row.code, row] as const))('%s is what its deliveries become', (code, row) => {
    const body = Buffer.from(JSON.stringify({ device_id: 'd', status: code, timestamp: '2026-02-04T14:32:00Z' }));
    const message = { body, headers: {}, source: 'WEBHOOK', receivedAt: new Date(0) } as const;
    const { type, family, severity } = row;
    expect(decode(message, { settings: {}, onlySite: null, profile: null })).toMatchObject([
      { type, family, severity },
    ]);
    expect(eventTable.codesOf(type)).toContain(code);
  });
});
