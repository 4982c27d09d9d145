import { describe, expect, it } from 'vitest';
import { decode } from './decode.ts';
import { eventTable } from './event-mappings.ts';
import { HEADERS } from './inbound.ts';

const GUID = '7d9f6c1e-4b0a-4f7e-9c55-2f1f0a3f7b11';

function decoded(name: string) {
  const event = {
    specversion: '1.0',
    id: '1d9f6c1e-4b0a-4f7e-9c55-2f1f0a3f7b11',
    type: '2d9f6c1e-4b0a-4f7e-9c55-2f1f0a3f7b11',
    source: `cameras/${GUID}`,
    time: '2026-02-04T14:32:00.0000000Z',
  };
  const body = Buffer.from(JSON.stringify({ events: [event] }));
  const message = { body, headers: { [HEADERS.name]: name }, source: 'STREAM', receivedAt: new Date(0) } as const;
  return decode(message, { settings: {}, onlySite: null, profile: null })[0];
}

describe('the table of events', () => {
  it.each(eventTable.rows.map((row) => [row.code, row] as const))('%s is what its frames become', (code, row) => {
    const { type, family, severity } = row;
    const draft = decoded(code);
    expect(draft).toMatchObject({ type, family, severity });
    expect(draft).not.toHaveProperty('unknownCode');
    expect(eventTable.codesOf(type)).toContain(code);
  });

  it('has no row for what is new: its name is kept and told', () => {
    expect(decoded('DoorChime')).toMatchObject({ type: 'vendor.doorchime', unknownCode: 'DoorChime' });
    expect(decoded('CommunicationDozing')).toMatchObject({
      type: 'health.unknown',
      unknownCode: 'communication Dozing',
    });
  });

  it('has whole families of the product', () => {
    for (const name of ['CommunicationError', 'DatabaseDiskFull', 'CPU Usage Critical', 'Used Space Normal'])
      expect(eventTable.typeOf(name)).not.toBeNull();
  });
});
