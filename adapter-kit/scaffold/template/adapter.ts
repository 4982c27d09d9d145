import type { Adapter } from '../../../adapter-kit/adapter.ts';
import { AdapterError } from '../../../adapter-kit/adapter-error.ts';
import type { AdapterOptions } from '../../../adapter-kit/define-vendor.ts';
import { mapConcurrent } from '../../../adapter-kit/map-concurrent.ts';
import type { DevicePage, LiveDevice } from '../../../adapter-kit/model.ts';
import { runProbe } from '../../../adapter-kit/probe.ts';
import { type AcmeVmsClient, createAcmeVmsClient, MAX_IDS, MAX_PAGE } from './client.ts';
import { normalizeDevice, normalizeLive, normalizeSite } from './normalize.ts';
import type { AcmeVmsSettings } from './settings.ts';
import { AcmeVmsDevice, type AcmeVmsDevicePage, type AcmeVmsMe } from './wire.ts';

/** Batches of one live read that are asked for at once. */
const MAX_BATCHES = 3;

/** @throws AdapterError MISCONFIGURED without an address */
export function createAcmeVmsAdapter(options: AdapterOptions<AcmeVmsSettings>): Adapter {
  const { baseUrl, now } = options;
  if (baseUrl === null) throw new AdapterError('MISCONFIGURED', 'the address of the platform is missing');
  let client: AcmeVmsClient | null = null;
  // On first use: an address that is refused is an answer of the call, not of the constructor.
  const open = (): AcmeVmsClient => (client ??= createAcmeVmsClient(baseUrl, options));

  function liveDevices(page: AcmeVmsDevicePage): LiveDevice[] {
    const checkedAt = now();
    return page.devices.flatMap((record) => {
      const device = AcmeVmsDevice.safeParse(record);
      return device.success ? [normalizeLive(device.data, checkedAt)] : [];
    });
  }

  return {
    async probe(signal) {
      const found: { me: AcmeVmsMe | null } = { me: null };
      const steps = [
        {
          id: 'credentials',
          title: 'The platform takes the API key',
          run: async () => {
            found.me = await open().me(signal);
            return { state: 'PASS' as const, detail: `version ${found.me.version}` };
          },
        },
        {
          id: 'inventory',
          title: 'Sites and devices are listed',
          run: async () => {
            const sites = await open().sites(signal);
            const { total } = await open().devices(1, null, signal);
            return { state: 'PASS' as const, detail: `${sites.length} site(s), ${total} device(s)` };
          },
        },
      ];
      const checks = await runProbe(baseUrl, () => open().reach(signal), steps, signal);
      return { checks, accountId: found.me?.account.id ?? null, accountName: found.me?.account.name ?? null };
    },

    listSites: async (signal) => (await open().sites(signal)).map(normalizeSite),

    async *listDevices(signal) {
      let after: string | null = null;
      do {
        const page: AcmeVmsDevicePage = await open().devices(MAX_PAGE, after, signal);
        yield normalizePage(page);
        after = page.next;
      } while (after !== null);
    },

    async readDevices(refs, signal) {
      const ids = refs.map(({ nativeId }) => nativeId);
      const batches = Array.from({ length: Math.ceil(ids.length / MAX_IDS) }, (_, index) =>
        ids.slice(index * MAX_IDS, (index + 1) * MAX_IDS),
      );
      const pages = await mapConcurrent(batches, MAX_BATCHES, signal, (batch, inner) =>
        open().devicesById(batch, inner),
      );
      return new Map(pages.flatMap(liveDevices).map((device) => [device.nativeId, device]));
    },

    async readPlatform(signal) {
      const { version, account } = await open().me(signal);
      return { version, checkedAt: now(), extras: { accountName: account.name } };
    },

    async pageDevices(first, after, signal) {
      const page = await open().devices(Math.min(first, MAX_PAGE), after, signal);
      return { devices: liveDevices(page), next: page.next };
    },

    async close() {
      await client?.close();
    },
  };
}

function normalizePage({ devices, total }: AcmeVmsDevicePage): DevicePage {
  const drafts: DevicePage['devices'][number][] = [];
  const rejected: { nativeId: string | null; reason: string }[] = [];
  for (const record of devices) {
    const device = AcmeVmsDevice.safeParse(record);
    if (device.success) drafts.push(normalizeDevice(device.data));
    else
      rejected.push({ nativeId: null, reason: `no ${device.error.issues[0]?.path.map(String).join('.') ?? 'device'}` });
  }
  return { devices: drafts, rejected, totalCount: total };
}
