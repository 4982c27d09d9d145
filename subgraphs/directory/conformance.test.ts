import { expect, it } from 'vitest';
import type { ConformanceFacts } from '../../storage/conformance-facts.ts';
import { judgeConformance } from './conformance.ts';

const GOOD: ConformanceFacts = {
  integrationId: 'int_a',
  ingestMode: 'PUSH_WITH_POLL_FALLBACK',
  signatureProfile: 'STANDARD_WEBHOOKS',
  lastSyncState: 'SUCCEEDED',
  isSilent: false,
  events: 1_000,
  rejected: 0,
  duplicates: 0,
  late: 0,
  missed: 0,
  deadLetters: 0,
  unknownCodes: 0,
  isClockOff: false,
};

it.each<[string, Partial<ConformanceFacts>, string, string | null]>([
  ['does everything right', {}, 'PLATINUM', null],
  ['cannot push', { ingestMode: 'POLL_ONLY', signatureProfile: null }, 'PLATINUM', null],
  ['proves nothing but a secret in the address', { signatureProfile: 'PATH_SECRET' }, 'GOLD', 'signature WARN'],
  ['repeats a little', { duplicates: 100 }, 'PLATINUM', null],
  ['repeats without listening', { duplicates: 1_000 }, 'GOLD', 'repeats WARN'],
  ['misses some and has a wrong clock', { missed: 3, isClockOff: true }, 'SILVER', 'push WARN'],
  ['is silent', { ingestMode: 'POLLING_FALLBACK_ACTIVE' }, 'BRONZE', 'push FAIL'],
  ['only pushes, and is missing', { ingestMode: 'PUSH', isSilent: true }, 'BRONZE', 'push FAIL'],
  ['signs one in fifty wrongly', { rejected: 20 }, 'NONE', 'accepted FAIL'],
  ['cannot be read', { lastSyncState: 'FAILED' }, 'NONE', 'inventory FAIL'],
  ['was not heard of yet', { lastSyncState: null, events: 0 }, 'NONE', 'accepted SKIPPED'],
])('a platform that %s', (_, change, grade, line) => {
  const { checks, ...conformance } = judgeConformance({ ...GOOD, ...change }, 7);
  expect(conformance).toEqual({ grade, checkedAt: 7 });
  const lines = checks.map(({ id, state }) => `${id} ${state}`);
  expect(lines).toEqual(expect.arrayContaining(line === null ? [] : [line]));
  const open = checks.filter(({ state }) => state === 'WARN' || state === 'FAIL');
  expect(open.map(({ detail }) => detail)).not.toContain(null);
});
