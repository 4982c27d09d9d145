import { describe, expect, it } from 'vitest';
import type { ProbeCheck } from '../adapter.ts';
import type { Credentials } from '../define-vendor.ts';
import { deafAddress, type Exemptions, namelessAddress, never, type Rig, wrongCredentials } from './rig.ts';

function expectOrderly(checks: readonly ProbeCheck[]): void {
  expect(checks.length).toBeGreaterThan(0);
  expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length);
  for (const { id, title } of checks) {
    expect(id).toMatch(/^[a-z][a-z0-9-]*$/);
    expect(title.trim()).not.toBe('');
  }
}

/** The first FAIL's id; checks that it is the only one, and that all later ones are SKIPPED. */
function failureIn(checks: readonly ProbeCheck[]): string | undefined {
  expectOrderly(checks);
  const at = checks.findIndex(({ state }) => state === 'FAIL');
  expect(checks.slice(at + 1).filter(({ state }) => state !== 'SKIPPED')).toEqual([]);
  return checks[at]?.id;
}

function secretsOf(credentials: Credentials | null): readonly string[] {
  if (credentials === null) return [];
  switch (credentials.kind) {
    case 'apiKey':
      return [credentials.apiKey];
    case 'basic':
      return [credentials.password];
    case 'oauthClient':
      return [credentials.clientSecret];
    case 'signedJwt':
      return credentials.privateKeyPem.split('\n').filter((line) => line.length > 20 && !line.startsWith('-'));
    default:
      return credentials satisfies never;
  }
}

export function describeProbe(rig: () => Rig, exempt: Exemptions): void {
  describe('probe', () => {
    it('passes every check and skips none', async () => {
      const { checks } = await rig().open().probe(never());
      expectOrderly(checks);
      expect(checks.filter(({ state }) => state === 'FAIL' || state === 'SKIPPED')).toEqual([]);
    });

    it('names no secret', async () => {
      const report = JSON.stringify(await rig().open().probe(never()));
      for (const secret of secretsOf(rig().credentials)) expect(report).not.toContain(secret);
    });

    it.skipIf(exempt['wrong-credentials'])('fails at `credentials` with wrong ones, without naming them', async () => {
      const { credentials, open } = rig();
      expect(credentials).not.toBeNull();
      if (credentials === null) return;
      const wrong = wrongCredentials(credentials);
      const { checks } = await open({ credentials: wrong }).probe(never());
      expect(failureIn(checks)).toBe('credentials');
      for (const secret of secretsOf(wrong)) expect(JSON.stringify(checks)).not.toContain(secret);
    });

    it.skipIf(exempt['wrong-host'])('fails at `tcp` where nobody listens', async () => {
      const { baseUrl, open } = rig();
      if (baseUrl === null) return;
      const { checks } = await open({ baseUrl: await deafAddress(baseUrl) }).probe(never());
      expect(failureIn(checks)).toBe('tcp');
    });

    it.skipIf(exempt['wrong-name'])('fails at `dns` for a name that nobody has', async () => {
      const { baseUrl, open } = rig();
      if (baseUrl === null) return;
      const { checks } = await open({ baseUrl: namelessAddress(baseUrl) }).probe(never());
      expect(failureIn(checks)).toBe('dns');
    });
  });
}
