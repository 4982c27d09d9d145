import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EVENT_TYPES, findEventType, jsonSchemaOf, nativeSchemaOf, sampleOf } from './event-types.ts';

const types = EVENT_TYPES.map((type) => [type.name, type] as const);

/** Reads the published schema again, as a client's validator does: nothing of it comes from our own definition. */
function published(type: (typeof EVENT_TYPES)[number]): z.ZodType {
  return z.fromJSONSchema(JSON.parse(JSON.stringify(jsonSchemaOf(type))));
}

describe('the catalogue of event types', () => {
  it('has each name once, in order', () => {
    const names = EVENT_TYPES.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)].toSorted());
  });

  it.each(types)('%s stands under its family, and says what it is in a sentence', (name, type) => {
    const prefix = name.slice(0, name.indexOf('.')).toUpperCase();
    expect(['VENDOR', 'INTEGRATION', 'INCIDENT'].includes(prefix) ? 'SYSTEM' : prefix).toBe(type.family);
    expect(type.description).toMatch(/^[A-Z].{5,}\.$/);
    expect(type.otherSeverities).not.toContain(type.severity);
  });

  it.each(types)('%s has a sample that its JSON Schema takes', (_, type) => {
    expect(published(type).safeParse(sampleOf(type)).error).toBeUndefined();
    expect(nativeSchemaOf(type).parse(sampleOf(type))).toEqual(sampleOf(type));
  });

  it.each(types)('%s has a JSON Schema that refuses what is none of it', (_, type) => {
    const schema = published(type);
    const sample = sampleOf(type);
    const family = type.family === 'ACCESS' ? 'ALARM' : 'ACCESS';
    const { id: _id, ...nameless } = sample;
    const wrong = [
      { ...sample, type: 'x.y' },
      { ...sample, family },
      { ...sample, occurredAt: '2026-02-04T14:32:00+02:00' },
      { ...sample, data: { ...sample.data, restoral: 'yes' } },
      nameless,
    ];
    expect(wrong.map((each) => schema.safeParse(each).success)).toEqual(wrong.map(() => false));
  });

  it('takes members that are added later', () => {
    for (const type of EVENT_TYPES)
      expect(published(type).safeParse({ ...sampleOf(type), colour: 'red' }).success).toBe(true);
  });

  it('knows the types below a pattern, and no others', () => {
    expect(findEventType('vendor.door_chime')?.name).toBe('vendor.*');
    expect(findEventType('health.offline')?.name).toBe('health.offline');
    for (const name of ['vendor', 'vendors.x', 'health.*', 'constructor', '']) expect(findEventType(name)).toBeNull();
  });
});
