import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_TYPES, nativeSchemaOf, sampleOf } from '../catalogue/event-types.ts';
import type { NativeEvent } from '../catalogue/native-event.ts';
import {
  ACCESS_OUTCOMES,
  DEVICE_STATES,
  EVENT_FORMATS,
  EVIDENCE_SOURCES,
  SEVERITIES,
  STATUS_REASONS,
} from '../words.ts';
import { FormatError } from './codec.ts';
import { EVENT_CODECS } from './formats.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const instant = fc
  .date({ min: new Date('2000-01-01T00:00:00Z'), max: new Date('2099-12-31T23:59:59Z'), noInvalidDate: true })
  .map((date) => date.toISOString());
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });
/** What JSON can say: no negative zero. */
const anything = fc.jsonValue().map((value): unknown => JSON.parse(JSON.stringify(value)));

const details = fc.record(
  {
    localTime: fc.constantFrom('AMBIGUOUS' as const, 'SKIPPED' as const),
    zone: text,
    actors: fc.array(fc.record({ kind: text, confidence: maybe(fc.constantFrom(0, 0.5, 1)) }), { maxLength: 3 }),
    siaCode: text,
    restoral: fc.boolean(),
    outcome: fc.constantFrom(...ACCESS_OUTCOMES),
    personName: text,
    fault: text,
    metadata: anything,
    detail: anything,
    intervalSeconds: fc.integer({ min: 1, max: 86_400 }),
    change: text,
  },
  { requiredKeys: [] },
);

/** Any event that the catalogue allows: a sample with everything about it changed that may be. */
const event = fc
  .record({
    type: fc.constantFrom(...EVENT_TYPES),
    own: fc.record({
      id: name,
      severity: fc.constantFrom(...SEVERITIES),
      occurredAt: instant,
      receivedAt: instant,
      clockSkewMs: maybe(fc.integer()),
      late: fc.boolean(),
      orgId: name,
      siteId: maybe(text),
      deviceId: maybe(text),
      integrationId: name,
      vendorEventId: maybe(text),
      vendorCode: maybe(text),
      origin: fc.constantFrom(...EVIDENCE_SOURCES),
      summary: text,
      status: maybe(
        fc.record({
          state: fc.constantFrom(...DEVICE_STATES),
          previousState: maybe(fc.constantFrom(...DEVICE_STATES)),
          reason: maybe(fc.constantFrom(...STATUS_REASONS)),
        }),
      ),
    }),
    details,
  })
  .map(({ type, own, details: more }): NativeEvent => {
    const sample = sampleOf(type);
    return nativeSchemaOf(type).parse({ ...sample, ...own, data: { ...sample.data, ...more } });
  });

describe.each(EVENT_FORMATS.map((format) => [format, EVENT_CODECS[format]] as const))('%s', (format, codec) => {
  it('is what it says', () => {
    expect(codec.format).toBe(format);
  });

  it('gives back every event as it was', () => {
    let largest = 0;
    fc.assert(
      fc.property(event, (original) => {
        const encoded = codec.encode(original);
        largest = Math.max(largest, encoded.length);
        expect(codec.decode(encoded)).toEqual(original);
      }),
      { numRuns: 300 },
    );
    expect(largest).toBeGreaterThan(700);
  });

  it('gives back every sample of the catalogue', () => {
    for (const type of EVENT_TYPES) expect(codec.decode(codec.encode(sampleOf(type)))).toEqual(sampleOf(type));
  });

  it.each(['', 'no json', 'null', '[]', '{}', '{"type":"health.offline"}'])('refuses %j', (wrong) => {
    expect(() => codec.decode(wrong)).toThrow(FormatError);
  });

  it('refuses an event with a member missing or of another kind', () => {
    const [type] = EVENT_TYPES;
    if (type === undefined) throw new TypeError('the catalogue is empty');
    const encoded = codec.encode(sampleOf(type));
    for (const [from, to] of [
      ['"severity":', '"gravity":'],
      [`"2026-02-04T14:32:00.000Z"`, '"yesterday"'],
      ['"late":false', '"late":"no"'],
    ] as const) {
      expect(encoded).toContain(from);
      expect(() => codec.decode(encoded.replace(from, to))).toThrow(FormatError);
    }
  });
});

describe('CLOUDEVENTS', () => {
  const offline = EVENT_TYPES.find(({ name: of }) => of === 'health.offline');

  it('has the attributes that the specification demands, and names what the event is about', () => {
    if (offline === undefined) throw new TypeError('the catalogue has no health.offline');
    const sample = sampleOf(offline);
    const { data, ...attributes } = JSON.parse(EVENT_CODECS.CLOUDEVENTS.encode(sample));
    expect(attributes).toEqual({
      specversion: '1.0',
      id: sample.id,
      source: `/orgs/${sample.orgId}/integrations/${sample.integrationId}`,
      type: 'convergraph.health.offline',
      subject: sample.deviceId,
      time: sample.occurredAt,
      recordedtime: sample.receivedAt,
      datacontenttype: 'application/json',
    });
    // Names of attributes are lower-case letters and digits, at most twenty.
    for (const attribute of Object.keys(attributes)) expect(attribute).toMatch(/^[a-z0-9]{1,20}$/);
    expect(data).toMatchObject({ status: { state: 'OFFLINE' }, family: 'HEALTH' });
  });

  it.each(['/orgs/a', '/orgs/%E0%A4%A/integrations/b', '', 'https://elsewhere.example/'])(
    'refuses the source %j',
    (source) => {
      if (offline === undefined) throw new TypeError('the catalogue has no health.offline');
      const body = { ...JSON.parse(EVENT_CODECS.CLOUDEVENTS.encode(sampleOf(offline))), source };
      expect(() => EVENT_CODECS.CLOUDEVENTS.decode(JSON.stringify(body))).toThrow(FormatError);
    },
  );
});

describe('STANDARD_WEBHOOK', () => {
  it('is type, timestamp and data', () => {
    const [type] = EVENT_TYPES;
    if (type === undefined) throw new TypeError('the catalogue is empty');
    const sample = sampleOf(type);
    const body: unknown = JSON.parse(EVENT_CODECS.STANDARD_WEBHOOK.encode(sample));
    expect(body).toMatchObject({ type: sample.type, timestamp: sample.occurredAt, data: { id: sample.id } });
  });
});
