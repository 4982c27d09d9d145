import { describe, expect, it } from 'vitest';
import { DEAD_LETTER_STAGES, type DeadLetterStage } from '../../schema/words.ts';
import { NOON } from '../testing.ts';
import { diagnose, type Diagnosed } from './diagnose.ts';

function letter(over: Partial<Diagnosed> = {}): Diagnosed {
  return {
    reason: null,
    headers: '{}',
    head: Buffer.from('{}'),
    received_at: NOON,
    diagnosis: null,
    replays: 0,
    ...over,
  };
}

function sentAt(offsetSeconds: number): Partial<Diagnosed> {
  return { headers: JSON.stringify({ 'x-webhook-timestamp': String(NOON / 1_000 + offsetSeconds) }) };
}

describe('diagnosis of a dead letter', () => {
  it.each<[DeadLetterStage, Partial<Diagnosed>, RegExp]>([
    ['SIGNATURE', { diagnosis: '["It was signed twice."]' }, /^It was signed twice\.$/],
    ['SIGNATURE', {}, /Compare the signing secret/],
    ['REPLAY_WINDOW', sentAt(-420), /7 min behind our clock.*sign each attempt anew/s],
    ['REPLAY_WINDOW', sentAt(400), /7 min ahead of our clock.*Set the clock/s],
    ['REPLAY_WINDOW', sentAt(-7_203), /2\.0 h behind.*a local time may have been taken for UTC/s],
    ['REPLAY_WINDOW', { headers: '{"webhook-timestamp":"20261120"}' }, /does not count seconds since 1970/],
    ['REPLAY_WINDOW', {}, /Compare the clock/],
    ['PARSE', { head: Buffer.alloc(0) }, /body is empty/],
    ['PARSE', { head: Buffer.from([0x1f, 0x8b, 8]) }, /compressed with gzip/],
    ['PARSE', { head: Buffer.from([0xff, 0xfe, 0x7b]) }, /UTF-16/],
    ['PARSE', { head: Buffer.from('\ufeff{') }, /byte order mark/],
    ['PARSE', { head: Buffer.from('<event/>') }, /XML or HTML/],
    ['PARSE', { head: Buffer.from('payload=%7B%7D') }, /HTML form/],
    ['PARSE', { head: Buffer.from("{'a': 1}") }, /single quotes/],
    ['PARSE', { head: Buffer.from('"{}"') }, /encoded twice/],
    ['PARSE', { reason: 'the 90 bytes are not JSON, from character 57 on' }, /where reading stopped/],
    ['SCHEMA', {}, /the reason names the member/],
    ['BINDING', { reason: 'vendor site "attic" is not bound to a site' }, /Bind vendor site "attic" with bindSite/],
    ['BINDING', { reason: 'it names no site' }, /Bind the vendor site that the reason names/],
    ['MAPPING', { reason: 'device "cam-9" is not in the inventory' }, /when device "cam-9" appears/],
    ['MAPPING', { reason: 'the event names neither a device nor an area' }, /Run syncIntegration/],
    ['DELIVERY', {}, /report the id of this letter/],
  ])('of stage %s, %j', (stage, over, expected) => {
    expect(diagnose(stage, letter(over)).join('\n')).toMatch(expected);
  });

  it.each(DEAD_LETTER_STAGES)('of stage %s says how often it was replayed in vain', (stage) => {
    expect(diagnose(stage, letter({ replays: 2 })).at(-1)).toBe('It was replayed 2 times in vain.');
    expect(diagnose(stage, letter()).length).toBeGreaterThan(0);
  });
});
