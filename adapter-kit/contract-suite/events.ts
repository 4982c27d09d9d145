import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findEventType } from '../../schema/catalogue/event-types.ts';
import { NativeData } from '../../schema/catalogue/native-event.ts';
import { DEVICE_STATES, EVENT_FAMILIES, SEVERITIES } from '../../schema/words.ts';
import { AdapterError, DecodeError } from '../adapter-error.ts';
import type { Vendor } from '../define-vendor.ts';
import type { EventDraft, InboundMessage } from '../model.ts';
import { contextOf, type Deliveries, draftsOf, receiveStream, receiveWebhooks, switched } from './deliveries.ts';
import { type Exemptions, never, type Rig, type VendorContractOptions } from './rig.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const GARBAGE: readonly (readonly [string, Uint8Array])[] = [
  ['nothing', bytes('')],
  ['blanks', bytes(' \r\n ')],
  ['words', bytes('device is offline')],
  ['markup', bytes('<!doctype html><title>502</title>')],
  ['an empty list', bytes('[]')],
  ['an empty object', bytes('{}')],
  ['null', bytes('null')],
  ['a number', bytes('7')],
  ['a text', bytes('"offline"')],
  ['half a message', bytes('{"event_id":"1","data":{"status":')],
  ['a bomb of depth', bytes('['.repeat(100_000))],
  ['a bomb of objects', bytes('{"a":'.repeat(50_000) + '1' + '}'.repeat(50_000))],
  ['a prototype', bytes('{"__proto__":{"status":"offline"},"device_id":"x"}')],
  ['what is not UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d)],
  ['zeros', new Uint8Array(1_024)],
];

/** How many spoilt copies of a real message a decoder must survive. */
const SPOILT = 300;

function inbound(body: Uint8Array): InboundMessage {
  return { body, headers: {}, source: 'WEBHOOK', receivedAt: new Date('2026-02-04T14:32:00Z') };
}

/** A small generator of our own: equal seeds spoil alike, so that a failure can be looked at. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function spoil(body: Uint8Array, random: (below: number) => number): Uint8Array {
  const copy = Uint8Array.from(body);
  switch (random(3)) {
    case 0:
      copy[random(copy.length)] = random(256);
      return copy;
    case 1:
      return copy.slice(0, random(copy.length));
    default: {
      const at = random(copy.length);
      return Uint8Array.from([...copy.slice(0, at), ...copy.slice(at + 1 + random(8))]);
    }
  }
}

function expectWellFormed(draft: EventDraft): void {
  expect(EVENT_FAMILIES).toContain(draft.family);
  expect(SEVERITIES).toContain(draft.severity);
  expect(draft.type).toMatch(/^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/);
  expect(findEventType(draft.type)).toMatchObject({ family: draft.family });
  // What other formats and the catalogue's schemas say an event's data is.
  expect(NativeData.safeParse(JSON.parse(JSON.stringify(draft.details))).error).toBeUndefined();
  expect(draft.occurredAt.getTime()).not.toBeNaN();
  expect(draft.summary.trim()).not.toBe('');
  for (const id of [draft.vendorEventId, draft.nativeOrgId, draft.nativeSiteId, draft.nativeDeviceId])
    expect(id).not.toBe('');
  expect([...DEVICE_STATES, undefined]).toContain(draft.claim?.state);
  expect(draft.claim === null || draft.nativeDeviceId !== null).toBe(true);
  expect(() => JSON.stringify([draft.raw, draft.details])).not.toThrow();
}

/** Drafts of a message that may be spoilt; null when it was refused as it should be. */
function decodedOrRefused(rig: Rig, body: Uint8Array): readonly EventDraft[] | null {
  try {
    return draftsOf(rig, inbound(body));
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}

export function describeEvents(
  vendor: Vendor,
  rig: () => Rig,
  options: VendorContractOptions,
  exempt: Exemptions,
): void {
  describe('decode', () => {
    it.each(GARBAGE)('refuses %s with a DecodeError that quotes nothing', (_, body) => {
      const decode = (): unknown => vendor.decode(inbound(body), contextOf(rig()));
      expect(decode).toThrow(DecodeError);
      expect(decode).not.toThrow(/device is offline|doctype/);
    });
  });

  const ways = [
    ...(vendor.ingest.webhooks ? (['webhooks'] as const) : []),
    ...(vendor.ingest.listens ? (['stream'] as const) : []),
  ];

  describe.each(ways)('%s', (way) => {
    const telling = () =>
      rig()
        .simulator.devices()
        .filter(options.tellsBy?.[way] ?? (() => true));
    let deliveries: Deliveries;
    beforeAll(async () => {
      deliveries = way === 'webhooks' ? await receiveWebhooks(rig()) : receiveStream(rig().open());
    });
    afterAll(async () => deliveries.stop());

    const claiming = (nativeId: string, state: string) => (draft: EventDraft) =>
      draft.nativeDeviceId === nativeId && draft.claim?.state === state;

    it('tell of a device that goes and comes back', async () => {
      const [device] = telling().filter(({ state }) => state === 'online');
      if (device === undefined) throw new Error('a simulated platform starts with devices that are online');
      for (const state of ['offline', 'online'] as const) {
        const claims = claiming(device.nativeId, state.toUpperCase());
        const message = await switched(rig(), deliveries, device.nativeId, state, claims);
        const draft = draftsOf(rig(), message).find(claims);
        expect(draft).toMatchObject({ family: 'HEALTH', type: `health.${state}` });
        expect(draft?.claim?.vendorState).toBeTruthy();
        expect(Math.abs(Date.now() - (draft?.occurredAt.getTime() ?? 0))).toBeLessThan(60_000);
        // Nothing can be tied to an org without them, unless the platform knows no sites at all.
        expect([device.siteId, null]).toContain(draft?.nativeSiteId);
      }
    });

    it('decode to well-formed events, the same every time', () => {
      expect(deliveries.messages.length).toBeGreaterThan(0);
      for (const message of deliveries.messages) {
        const before = Uint8Array.from(message.body);
        const drafts = draftsOf(rig(), message);
        expect(drafts.length).toBeGreaterThan(0);
        drafts.forEach(expectWellFormed);
        expect(draftsOf(rig(), { ...message, body: Uint8Array.from(message.body) })).toEqual(drafts);
        expect(Uint8Array.from(message.body)).toEqual(before);
      }
    });

    it('are refused or well-formed however they are spoilt on the way', () => {
      const [message] = deliveries.messages;
      if (message === undefined) throw new Error('no message to spoil');
      const random = createRandom(11);
      let refused = 0;
      for (let copy = 0; copy < SPOILT; copy += 1) {
        const drafts = decodedOrRefused(rig(), spoil(message.body, random));
        if (drafts === null) refused += 1;
        else drafts.forEach(expectWellFormed);
      }
      expect(refused).toBeGreaterThan(0);
    });

    it.skipIf(exempt['unknown-words'])('keep a state that the decoder does not know', async () => {
      const { simulator } = rig();
      if (simulator.setWords === undefined) throw new Error('the simulator cannot say unknown words: add setWords');
      const device = telling().at(-1);
      if (device === undefined) throw new Error('a simulated platform has devices');
      simulator.setWords(device.nativeId, { state: 'zz-unheard-of' });
      const claims = (draft: EventDraft): boolean =>
        draft.nativeDeviceId === device.nativeId &&
        // Where a state is not a word but what an event means, an event that is new claims nothing and keeps its name.
        (exempt['live-state'] === undefined ? draft.claim?.vendorState : draft.vendorCode) === 'zz-unheard-of';
      const message = await deliveries.until((candidate) => draftsOf(rig(), candidate).some(claims));
      simulator.setWords(device.nativeId, {});
      const claimed = draftsOf(rig(), message).find(claims)?.claim?.state;
      expect(exempt['live-state'] === undefined ? claimed : (claimed ?? 'UNKNOWN')).toBe('UNKNOWN');
    });
  });

  if (!vendor.ingest.webhooks) return;

  describe('webhook registration', () => {
    it('can be repeated for the same address, and taken back, where the platform lets us', async () => {
      const adapter = rig().open();
      const [profile] = vendor.signatureProfiles;
      const url = 'http://127.0.0.1:9/webhooks/int_contract_twice';
      const register = async (secret: string) =>
        profile === undefined ? undefined : adapter.registerWebhook?.({ url, profile, secret }, never());
      const made = await Promise.allSettled([register('c'.repeat(43))]);
      const refusals = made.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
      // A platform without a webhook API says so.
      expect(refusals.filter((error) => !(error instanceof AdapterError && error.code === 'NOT_SUPPORTED'))).toEqual(
        [],
      );
      if (refusals.length > 0) return;
      const again = await register('d'.repeat(43));
      for (const registration of [again].filter((each) => each !== undefined)) {
        expect(registration.nativeId).not.toBe('');
        expect(registration.secret.length).toBeGreaterThanOrEqual(24);
        await adapter.unregisterWebhook?.(registration.nativeId, never());
      }
    });
  });
}
