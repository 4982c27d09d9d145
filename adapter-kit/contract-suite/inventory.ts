import { describe, expect, it } from 'vitest';
import { DEVICE_STATES, DEVICE_TYPES } from '../../schema/words.ts';
import type { DeviceDraft } from '../model.ts';
import { type Exemptions, listAll, never, refsOf, type Rig, stateWord } from './rig.ts';

const byId = (devices: readonly DeviceDraft[]): ReadonlyMap<string, DeviceDraft> =>
  new Map(devices.map((device) => [device.nativeId, device]));

function isTimezone(timezone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

export function describeInventory(rig: () => Rig, exempt: Exemptions): void {
  describe('inventory', () => {
    it('lists every site once, the same twice', async () => {
      const { simulator, open } = rig();
      const sites = await open().listSites(never());
      const key = (site: { nativeOrgId: string; nativeId: string; name: string }): string =>
        JSON.stringify([site.nativeOrgId, site.nativeId, site.name]);
      expect(sites.map(key).toSorted()).toEqual(simulator.sites().map(key).toSorted());
      expect(sites.filter(({ timezone }) => timezone !== null && !isTimezone(timezone))).toEqual([]);
      expect(await open().listSites(never())).toEqual(sites);
    });

    it('lists every device once, with its name, site, kind and state', async () => {
      const { simulator, open } = rig();
      const { devices } = await listAll(open());
      expect(devices.map(({ nativeId }) => nativeId).toSorted()).toEqual(
        simulator
          .devices()
          .map(({ nativeId }) => nativeId)
          .toSorted(),
      );
      const listed = byId(devices);
      for (const truth of simulator.devices()) {
        expect(listed.get(truth.nativeId)).toMatchObject({
          name: truth.name,
          nativeSiteId: truth.siteId,
          vendorType: truth.type,
        });
        const status = listed.get(truth.nativeId)?.status;
        // A platform may leave status to its events, but it must not say something else.
        expect([stateWord(truth.state), undefined]).toContain(status?.state);
      }
    });

    it('keeps its drafts within our words', async () => {
      const { devices, pages } = await listAll(rig().open());
      expect(pages.flatMap(({ rejected }) => rejected ?? [])).toEqual([]);
      for (const device of devices) {
        expect(device.nativeId).not.toBe('');
        expect(DEVICE_TYPES).toContain(device.type);
        expect([...DEVICE_STATES, undefined]).toContain(device.status?.state);
        for (const at of [
          device.lastSeenAt,
          device.warrantyExpiresAt,
          device.endOfSupportAt,
          device.status?.observedAt,
        ])
          expect(at === null || at === undefined || !Number.isNaN(at.getTime())).toBe(true);
      }
      const ids = new Set(devices.map(({ nativeId }) => nativeId));
      const orphans = devices.filter(({ parentNativeId: parent }) => typeof parent === 'string' && !ids.has(parent));
      expect(orphans).toEqual([]);
    });

    it('says a total that is the number of its devices, when it says one', async () => {
      const { devices, pages } = await listAll(rig().open());
      const totals = pages.map(({ totalCount }) => totalCount).filter((total) => typeof total === 'number');
      expect(totals.filter((total) => total !== devices.length)).toEqual([]);
    });

    it('gives a device the same id again, from another adapter and in another state', async () => {
      const { simulator, open } = rig();
      const first = await listAll(open());
      const changed = simulator.devices().find(({ state }) => state === 'online');
      if (changed === undefined) throw new Error('a simulated platform starts with devices that are online');
      simulator.setState(changed.nativeId, 'offline');
      const second = await listAll(open());
      simulator.setState(changed.nativeId, 'online');
      const ids = (devices: readonly DeviceDraft[]): string[] => devices.map(({ nativeId }) => nativeId).toSorted();
      expect(ids(second.devices)).toEqual(ids(first.devices));
      const { status } = byId(second.devices).get(changed.nativeId) ?? {};
      expect(['OFFLINE', undefined]).toContain(status?.state);
    });

    it.skipIf(exempt['unknown-words'])('keeps a kind and a state that it does not know', async () => {
      const { simulator, open } = rig();
      if (simulator.setWords === undefined) throw new Error('the simulator cannot say unknown words: add setWords');
      const [device] = simulator.devices();
      if (device === undefined) throw new Error('a simulated platform has devices');
      simulator.setWords(device.nativeId, { type: 'constructor', state: 'zz-unheard-of' });
      const adapter = open();
      const draft = byId((await listAll(adapter)).devices).get(device.nativeId);
      const live = draft && (await adapter.readDevices(refsOf([draft]), never())).get(device.nativeId);
      simulator.setWords(device.nativeId, {});
      expect(draft).toMatchObject({ type: 'OTHER', vendorType: 'constructor' });
      // Null where events alone make the status.
      const { state, vendorState } = draft?.status ?? { state: 'UNKNOWN', vendorState: 'zz-unheard-of' };
      expect([state, vendorState]).toEqual(['UNKNOWN', 'zz-unheard-of']);
      const isSaid = exempt['live-state'] === undefined;
      expect(live).toMatchObject({ type: 'OTHER', state: 'UNKNOWN', vendorState: isSaid ? 'zz-unheard-of' : null });
    });
  });
}
