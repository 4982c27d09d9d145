import { describe, expect, it } from 'vitest';
import type { Adapter } from '../adapter.ts';
import { AdapterError } from '../adapter-error.ts';
import type { DeviceRef } from '../model.ts';
import { type Exemptions, listAll, never, refsOf, type Rig, wrongCredentials } from './rig.ts';

/** An answer may be slow; that nobody answers must be known well within this, retries included. */
const GIVES_UP_WITHIN_MS = 15_000;

type Call = (adapter: Adapter, refs: readonly DeviceRef[], signal: AbortSignal) => Promise<unknown>;

const CALLS: readonly (readonly [string, Call])[] = [
  ['listSites', (adapter, _, signal) => adapter.listSites(signal)],
  ['listDevices', (adapter, _, signal) => Array.fromAsync(adapter.listDevices(signal))],
  ['readDevices', (adapter, refs, signal) => adapter.readDevices(refs, signal)],
  ['readPlatform', (adapter, _, signal) => adapter.readPlatform(signal)],
  ['pageDevices', (adapter, _, signal) => adapter.pageDevices(10, null, signal)],
];

export function describeFailures(rig: () => Rig, exempt: Exemptions): void {
  describe('failure', () => {
    const calls = CALLS.filter(([name]) => name !== 'pageDevices' || exempt['page-devices'] === undefined);

    it.skipIf(exempt.outage).each(calls)(
      'of the platform ends %s with an AdapterError that can be retried, and is over when the outage is',
      async (_, call) => {
        const { open, outage } = rig();
        const adapter = open();
        const refs = refsOf((await listAll(adapter)).devices).slice(0, 5);
        const startedAt = performance.now();
        await outage(3_600);
        const failure: unknown = await call(adapter, refs, never()).then(
          () => null,
          (error: unknown) => error,
        );
        const tookMs = performance.now() - startedAt;
        await outage(0);
        expect(failure).toBeInstanceOf(AdapterError);
        expect(failure).toMatchObject({ retryable: true });
        expect(tookMs).toBeLessThan(GIVES_UP_WITHIN_MS);
        await expect(call(adapter, refs, never())).resolves.toBeDefined();
      },
    );

    it.skipIf(exempt['wrong-credentials'])(
      'of the credentials is UNAUTHENTICATED, which waiting cannot help',
      async () => {
        const { credentials, open } = rig();
        if (credentials === null) throw new Error('no credentials: exempt "wrong-credentials" with a reason');
        const adapter = open({ credentials: wrongCredentials(credentials) });
        await expect(adapter.listSites(never())).rejects.toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
      },
    );

    it.each(calls)('of its caller to wait ends %s', async (_, call) => {
      const { simulator, open } = rig();
      const adapter = open();
      const refs = refsOf((await listAll(adapter)).devices).slice(0, 5);
      const before = simulator.calls?.();
      await expect(call(adapter, refs, AbortSignal.abort())).rejects.toBeInstanceOf(AdapterError);
      expect(simulator.calls?.()).toBe(before);
      const controller = new AbortController();
      const underWay = call(adapter, refs, controller.signal);
      controller.abort();
      await expect(underWay).rejects.toBeInstanceOf(AdapterError);
    });

    it('to close twice does not happen', async () => {
      const adapter = rig().open();
      await adapter.listSites(never());
      await adapter.close();
      await expect(adapter.close()).resolves.toBeUndefined();
    });
  });
}
