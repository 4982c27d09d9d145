import { describe, expect, it } from 'vitest';
import type { EventDraft } from '../../adapter-kit/model.ts';
import { decode } from './decode.ts';
import { dialectOf } from './dialect.ts';
import { describeUnknown } from './event-catalogue.ts';
import { connect, jwtOf, never, simulate } from './fixtures/rig.ts';
import { VendorCloudSettings } from './settings.ts';

const CATALOGUE = [
  { code: 1042, name: 'Door forced open', category: 'Access' },
  { event_type: 'EVT_REC_F', title: 'Recording failure', group: 'video', description: 'No more is written.' },
  { type: 'EVT_ALM_7', name: 'Pool cover left open', family: 'ALARM' },
  { key: 'EVT_LOST', name: 'Device offline', family: 'health' },
  { code: 'EVT_H9', name: 'Moon phase', family: 'health' },
  { code: 'alarm/B1', name: 'Fire', family: 'alarm' },
  { code: 'alarm', name: 'Panic' },
  { code: 'door.held', name: 'Something else' },
  { code: 'COFFEE', name: 'Door no longer forced open' },
];
const settings = VendorCloudSettings.parse({ eventCatalogue: CATALOGUE });

function decoded(event: Readonly<Record<string, unknown>>, over: unknown = settings): EventDraft | undefined {
  const body = Buffer.from(
    JSON.stringify({ device_id: 'd', site_id: 's', account_id: 'a', timestamp: '2026-02-04T14:32:00Z', ...event }),
  );
  const message = { body, headers: {}, source: 'WEBHOOK', receivedAt: new Date(0) } as const;
  return decode(message, { settings: over, onlySite: null, profile: null })[0];
}

describe("a vendor's list of event types", () => {
  it.each([
    ['1042', 'access.forced_open'],
    ['EVT_REC_F', 'video.recording_failure'],
    ['EVT_ALM_7', 'alarm.other'],
    ['EVT_LOST', 'health.offline'],
    ['door.held', 'access.held_open'],
  ])('gives %s the meaning of its name and family: %s', (code, type) => {
    expect(decoded({ event_type: code })).toMatchObject({ type, vendorCode: code });
  });

  it('says what a word of a family means, and leaves the family as it is', () => {
    expect(decoded({ event_type: 'alarm', data: { event: 'B1' } })?.type).toBe('alarm.fire');
    expect(decoded({ event_type: 'alarm', data: { event: 'intrusion' } })?.type).toBe('alarm.intrusion');
  });

  it('makes no claim on a state by a name that nobody knows, and guesses from no part of one', () => {
    for (const code of ['EVT_H9', 'COFFEE'])
      expect(decoded({ event_type: code })).toMatchObject({ family: 'SYSTEM', claim: null, vendorCode: code });
    expect(dialectOf(settings).catalogue.unknown).toEqual(['EVT_H9', 'COFFEE']);
  });

  it('comes after what an operator says', () => {
    const both = VendorCloudSettings.parse({ eventCatalogue: CATALOGUE, eventTypes: { '1042': 'access.denied' } });
    expect(decoded({ event_type: '1042' }, both)?.type).toBe('access.denied');
  });

  it('means the same when it is read again, as it is from the store', () => {
    expect(VendorCloudSettings.parse(settings)).toEqual(settings);
  });

  it.each([[[{ name: 'No code' }]], [[7]], [Array.from({ length: 2_001 }, () => ({ code: 'x' }))]])(
    'is refused when it is none (case %#)',
    (eventCatalogue) => {
      expect(VendorCloudSettings.safeParse({ eventCatalogue }).success).toBe(false);
    },
  );

  it('names what is left over, and how much more', () => {
    const entries = Array.from({ length: 7 }, (_, index) => ({ code: `x${index}`, name: null, family: null }));
    const unknown = entries.map(({ code }) => code);
    expect(describeUnknown({ rules: new Map(), unknown }, entries)).toMatch(
      /^7 of 7 .* x0, x1, x2, x3, x4 and 2 more$/,
    );
    expect(describeUnknown({ rules: new Map(), unknown: [] }, entries)).toBeNull();
  });

  it('is judged by the credential test', async () => {
    const simulator = await simulate({ devices: 4 });
    const adapter = connect(simulator, jwtOf(simulator), { eventCatalogue: CATALOGUE });
    const { checks } = await adapter.probe(never());
    expect(checks.find(({ id }) => id === 'event-types')).toMatchObject({
      state: 'WARN',
      detail: expect.stringContaining('EVT_H9, COFFEE'),
    });
    await adapter.close();
    await simulator.close();
  });
});
