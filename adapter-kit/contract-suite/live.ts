import { describe, expect, it } from 'vitest';
import { AdapterError } from '../adapter-error.ts';
import type { DeviceRef, LiveDevice } from '../model.ts';
import { type Exemptions, listAll, never, refsOf, type Rig, stateWord, type VendorContractOptions } from './rig.ts';

/** Fields that mean the same for all vendors. */
const SHARED_FIELDS = ['integrationId', 'nativeId', 'name', 'type', 'state', 'vendorState', 'checkedAt', 'device'];
const MAX_REFS = 500;

async function allRefs(rig: Rig): Promise<readonly DeviceRef[]> {
  return refsOf((await listAll(rig.open())).devices).slice(0, MAX_REFS);
}

export function describeLive(rig: () => Rig, options: VendorContractOptions, exempt: Exemptions): void {
  describe('live read', () => {
    it('says of every device what is true now, and leaves out what the platform does not have', async () => {
      const { simulator, open } = rig();
      const refs = await allRefs(rig());
      const [first] = refs;
      if (first === undefined) throw new Error('a simulated platform has devices');
      const startedAt = Date.now();
      const found = await open().readDevices([...refs, { ...first, nativeId: 'no-such-device' }], never());
      expect([...found.keys()].toSorted()).toEqual(refs.map(({ nativeId }) => nativeId).toSorted());
      for (const truth of simulator.devices()) {
        const live = found.get(truth.nativeId);
        const state = exempt['live-state'] === undefined ? stateWord(truth.state) : 'UNKNOWN';
        expect(live).toMatchObject({ nativeId: truth.nativeId, name: truth.name, state });
        expect(live?.checkedAt.getTime()).toBeGreaterThanOrEqual(startedAt);
        expect(Object.keys(live?.extras ?? {}).filter((name) => SHARED_FIELDS.includes(name))).toEqual([]);
      }
    });

    it('costs a bounded number of platform calls, never one per device', async () => {
      const { simulator, open } = rig();
      if (simulator.calls === undefined) throw new Error('the simulator does not count: add calls()');
      const refs = await allRefs(rig());
      const adapter = open();
      // Logging in is not part of the read.
      await adapter.readPlatform(never());
      const before = simulator.calls();
      await adapter.readDevices(refs, never());
      const bound = options.maxReadCalls ?? 2 * simulator.sites().length + 2;
      expect(bound).toBeLessThan(refs.length);
      expect(simulator.calls() - before).toBeGreaterThan(0);
      expect(simulator.calls() - before).toBeLessThanOrEqual(bound);
    });

    it.skipIf(exempt['live-state'])('sees a change at once, in the read and in the listing', async () => {
      const { simulator, open } = rig();
      const adapter = open();
      const refs = await allRefs(rig());
      for (const truth of simulator.devices().slice(0, 2)) {
        const other = truth.state === 'online' ? 'offline' : 'online';
        simulator.setState(truth.nativeId, other);
        const found = await adapter.readDevices(
          refs.filter(({ nativeId }) => nativeId === truth.nativeId),
          never(),
        );
        const draft = (await listAll(adapter)).devices.find(({ nativeId }) => nativeId === truth.nativeId);
        simulator.setState(truth.nativeId, truth.state);
        expect(found.get(truth.nativeId)?.state).toBe(stateWord(other));
        expect([stateWord(other), undefined]).toContain(draft?.status?.state);
      }
    });

    it('asks nothing for nothing', async () => {
      expect((await rig().open().readDevices([], never())).size).toBe(0);
    });

    it('describes the platform', async () => {
      const startedAt = Date.now();
      const platform = await rig().open().readPlatform(never());
      expect(platform.checkedAt.getTime()).toBeGreaterThanOrEqual(startedAt);
      expect(Object.keys(platform.extras).filter((name) => SHARED_FIELDS.includes(name))).toEqual([]);
    });

    it.skipIf(exempt['page-devices'])('pages through everything once, in pages of any size', async () => {
      const { simulator, open } = rig();
      const adapter = open();
      for (const first of [7, 500]) {
        const seen: LiveDevice[] = [];
        let after: string | null = null;
        do {
          const page: Awaited<ReturnType<typeof adapter.pageDevices>> = await adapter.pageDevices(
            first,
            after,
            never(),
          );
          expect(page.devices.length).toBeLessThanOrEqual(first);
          // A page that is empty and not the last would let a reader turn round for ever.
          expect(page.devices.length > 0 || page.next === null).toBe(true);
          seen.push(...page.devices);
          after = page.next;
        } while (after !== null && seen.length <= simulator.devices().length);
        expect(seen.map(({ nativeId }) => nativeId).toSorted()).toEqual(
          simulator
            .devices()
            .map(({ nativeId }) => nativeId)
            .toSorted(),
        );
      }
    });

    it.skipIf(exempt['page-devices'])('refuses a position that is none of its own', async () => {
      const call = rig().open().pageDevices(10, '\u0000 no position of yours', never());
      await expect(call).rejects.toBeInstanceOf(AdapterError);
    });
  });
}
