import { describe, expect, it } from 'vitest';
import { AdapterError, type AdapterErrorLayer } from './adapter-error.ts';
import { type ProbeStep, runProbe } from './probe.ts';

const signal = new AbortController().signal;
const https = new URL('https://platform.test');
const reached = async (): Promise<void> => undefined;
const step = (id: string, outcome?: Error): ProbeStep => ({
  id,
  title: id,
  run: async () => {
    if (outcome !== undefined) throw outcome;
    return undefined;
  },
});
const states = (checks: readonly { id: string; state: string }[]): string =>
  checks.map(({ id, state }) => `${id}:${state}`).join(' ');

describe('runProbe', () => {
  it('passes connection and steps', async () => {
    const checks = await runProbe(https, reached, [step('credentials'), step('inventory')], signal);
    expect(states(checks)).toBe('dns:PASS tcp:PASS tls:PASS credentials:PASS inventory:PASS');
  });

  it('warns of an address without encryption', async () => {
    expect(states(await runProbe(new URL('http://platform.test'), reached, [], signal))).toContain('tls:WARN');
  });

  it.each<[AdapterErrorLayer, string]>([
    ['dns', 'dns:FAIL tcp:SKIPPED tls:SKIPPED credentials:SKIPPED'],
    ['tcp', 'dns:PASS tcp:FAIL tls:SKIPPED credentials:SKIPPED'],
    ['tls', 'dns:PASS tcp:PASS tls:FAIL credentials:SKIPPED'],
  ])('fails at the layer %s', async (layer, expected) => {
    const reach = () => Promise.reject(new AdapterError('UNREACHABLE', 'broken', { layer }));
    expect(states(await runProbe(https, reach, [step('credentials')], signal))).toBe(expected);
  });

  it('takes an answer of any status for a connection that works', async () => {
    const reach = () => Promise.reject(new AdapterError('UNAUTHENTICATED', 'no', { layer: 'http', status: 401 }));
    expect(states(await runProbe(https, reach, [step('credentials')], signal))).toContain('tls:PASS credentials:PASS');
  });

  it('skips what follows a step that fails, and says why it failed', async () => {
    const refused = new AdapterError('UNAUTHENTICATED', 'the key is unknown');
    const checks = await runProbe(https, reached, [step('credentials', refused), step('inventory')], signal);
    expect(states(checks)).toContain('credentials:FAIL inventory:SKIPPED');
    expect(checks.find(({ id }) => id === 'credentials')?.detail).toBe('the key is unknown');
  });

  it('throws what is a fault of ours', async () => {
    await expect(runProbe(https, reached, [step('credentials', new TypeError('ours'))], signal)).rejects.toThrow(
      'ours',
    );
  });
});
