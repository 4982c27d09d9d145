import { describe, expect, it } from 'vitest';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';

function decoded(name: string) {
  const event = { id: 7, camid: 3, name, time: '2026-02-04T14:32:00', meta: {} };
  const body = Buffer.from(JSON.stringify({ event, origin: 'https://vxg.example' }));
  const message = { body, headers: {}, source: 'STREAM', receivedAt: new Date(0) } as const;
  return decode(message, { settings: {}, onlySite: null, profile: null })[0];
}

describe('the table of events', () => {
  it.each(eventTable.rows.map((row) => [row.code, row] as const))('%s is what polled events become', (code, row) => {
    const { type, family, severity } = row;
    const draft = decoded(code.replace('*', 'no_such_name'));
    expect(draft).toMatchObject({ type, family, severity });
    expect(draft?.unknownCode).toBe(code === '*' ? 'no_such_name' : undefined);
    expect(eventTable.codesOf(type)).toContain(code);
  });
});
