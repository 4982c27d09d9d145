import { expect, it } from 'vitest';
import { createQuotas, readQuota } from './quota.ts';

const NOW = Date.UTC(2026, 10, 20, 12);

it.each([
  [{ ratelimit: '"default";r=50;t=30', 'ratelimit-policy': '"default";q=100;w=60' }, 100, 50, 60_000, 30_000],
  [{ 'ratelimit-limit': '100', 'ratelimit-remaining': '12', 'ratelimit-reset': '45' }, 100, 12, 45_000, 45_000],
  [
    { 'ratelimit-limit': '100, 100;w=60', 'ratelimit-remaining': '12', 'ratelimit-reset': '45' },
    100,
    12,
    45_000,
    45_000,
  ],
  [
    { 'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW / 1_000 + 600) },
    5_000,
    0,
    600_000,
    600_000,
  ],
])('reads %j', (headers, limit, remaining, windowMs, resetsInMs) => {
  expect(readQuota(headers, NOW)).toEqual({ limit, remaining, windowMs, resetsAt: NOW + resetsInMs });
});

it.each([
  [{}],
  [{ 'retry-after': '30' }],
  [{ 'x-ratelimit-limit': 'many', 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '1' }],
  [{ 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '11', 'x-ratelimit-reset': '1' }],
  [{ ratelimit: '"default";r=50' }],
])('makes nothing of %j', (headers) => {
  expect(readQuota(headers, NOW)).toBeNull();
});

it('keeps the newest word until its window is over', () => {
  let now = NOW;
  const quotas = createQuotas(() => now);
  const headers = (remaining: number) => ({
    'ratelimit-limit': '10',
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': '60',
  });
  quotas.note('int_a', headers(9));
  quotas.note('int_a', headers(8));
  quotas.note('int_a', {});
  expect(quotas.of('int_a')?.remaining).toBe(8);
  expect(quotas.of('int_b')).toBeNull();
  now += 60_001;
  expect(quotas.of('int_a')).toBeNull();
});
