import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCursorCodec, MAX_CURSOR_CHARACTERS } from './cursor.ts';

const KEY = randomBytes(32);
const codec = createCursorCodec(KEY);

describe('cursor codec', () => {
  it('gives back any JSON, as the same text each time', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), fc.jsonValue({ maxDepth: 2 }), (kind, json) => {
        const payload: unknown = JSON.parse(JSON.stringify(json));
        const text = JSON.stringify(payload);
        fc.pre(text.length < 500);
        const cursor = codec.encode(kind, payload);
        expect(JSON.stringify(codec.decode(kind, cursor))).toBe(text);
        expect(codec.encode(kind, payload)).toBe(cursor);
        expect(createCursorCodec(KEY).encode(kind, payload)).toBe(cursor);
      }),
    );
  });

  it('hides what it carries', () => {
    const cursor = codec.encode('devices', ['Front door', 'dev_1']);
    expect(Buffer.from(cursor, 'base64url').toString('latin1')).not.toContain('Front');
    expect(codec.encode('devices', ['Front door', 'dev_2']).slice(0, 12)).not.toBe(cursor.slice(0, 12));
  });

  it('refuses a cursor of another kind or key', () => {
    const cursor = codec.encode('events', { seq: 7 });
    expect(codec.decode('devices', cursor)).toBeNull();
    expect(codec.decode('event', cursor)).toBeNull();
    expect(createCursorCodec(randomBytes(32)).decode('events', cursor)).toBeNull();
  });

  it('refuses a cursor in which any single bit was changed', () => {
    const bytes = Buffer.from(codec.encode('events', { seq: 7 }), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const altered = Buffer.from(bytes);
      altered[bit >> 3] = altered[bit >> 3]! ^ (1 << (bit & 7));
      expect(codec.decode('events', altered.toString('base64url'))).toBeNull();
    }
  });

  it.each([
    ['nothing', ''],
    ['a number', '42'],
    ['base64 with padding', `${Buffer.alloc(40).toString('base64url')}=`],
    ['a text of spare bits', `${codec.encode('events', 7)}A`],
    ['sixteen bytes', Buffer.alloc(16).toString('base64url')],
    ['too much', 'A'.repeat(MAX_CURSOR_CHARACTERS + 1)],
    ['spaces', ' '.repeat(40)],
  ])('refuses %s', (_, cursor) => {
    expect(codec.decode('events', cursor)).toBeNull();
  });

  it('refuses random texts', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String({ maxLength: 200 })), (text) => {
        expect(codec.decode('events', text)).toBeNull();
      }),
    );
  });

  it('refuses to carry more than a position', () => {
    expect(() => codec.encode('events', 'x'.repeat(4_095))).toThrow(RangeError);
    expect(codec.decode('events', codec.encode('events', 'x'.repeat(4_094)))).toHaveLength(4_094);
  });
});
