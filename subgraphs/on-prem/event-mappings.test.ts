import { describe, expect, it } from 'vitest';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';

function decoded(status: string) {
  const body = Buffer.from(JSON.stringify({ device_id: 'd', status, timestamp: '2026-02-04T14:32:00Z' }));
  const message = { body, headers: {}, source: 'WEBHOOK', receivedAt: new Date(0) } as const;
  return decode(message, { settings: {}, onlySite: null, profile: null })[0];
}

describe('the table of events', () => {
  it.each(eventTable.rows.map((row) => [row.code, row] as const))('%s is what its deliveries become', (code, row) => {
    const { type, family, severity } = row;
    const draft = decoded(code);
    expect(draft).toMatchObject({ type, family, severity });
    expect(draft).not.toHaveProperty('unknownCode');
    expect(eventTable.codesOf(type)).toContain(code);
  });

  it('has no row for what is new: its word is kept and told', () => {
    expect(decoded('dozing')).toMatchObject({ type: 'health.unknown', unknownCode: 'dozing' });
  });
});
