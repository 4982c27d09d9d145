import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { allVendors, eventually, type Json, openSandbox, query, type Watch, watch } from './rig.ts';

// One site, several platforms, no power: from the platforms' own protocols to one open incident, and back.

/** Platforms that tell of a device as soon as it falls, each in its own way. */
const SLUGS = ['milestone', 'on-prem', 'vendor-cloud'];
const vendors = allVendors.filter(({ slug }) => SLUGS.includes(slug));
const isDeployed = vendors.length === SLUGS.length;

let sandbox: Sandbox;
let orgId: string;
let siteId: string;
let feed: Watch;

interface SiteDevice {
  readonly integration: { readonly id: string };
  readonly externalIds: readonly { readonly value: string }[];
  readonly status: { readonly state: string };
}

const SITE = /* GraphQL */ `
  query Site($site: ID!) {
    site(id: $site) {
      health {
        total
        online
        offline
        suppressed
      }
      incidents(open: true) {
        totalCount
        nodes {
          id
          cause
          affectedCount
          summary
        }
      }
      devices(first: 500) {
        totalCount
        nodes {
          id
          integration {
            id
          }
          externalIds {
            value
          }
          status {
            state
            incident {
              id
            }
          }
        }
      }
    }
  }
`;

const FEED = /* GraphQL */ `
  subscription Feed($org: ID!) {
    events(filter: { orgId: $org, types: ["incident.opened", "incident.closed"] }) {
      ... on EventDelivered {
        event {
          type
          site {
            id
          }
          summary
        }
      }
    }
  }
`;

async function site(): Promise<Json> {
  const { data } = await query(sandbox, SITE, { site: siteId });
  return data?.site;
}

async function told(type: string): Promise<boolean> {
  return feed.items.some(({ data }) => data?.events?.event?.type === type && data.events.event.site?.id === siteId);
}

/** Switches all devices of the site at their platforms. */
function power(devices: readonly SiteDevice[], state: 'online' | 'offline'): void {
  for (const { platform, integrationId } of platforms()) {
    const own = devices.filter(({ integration }) => integration.id === integrationId);
    const known = new Set(platform.simulator.devices().map(({ nativeId }) => nativeId));
    for (const { externalIds } of own) {
      const native = externalIds.find(({ value }) => known.has(value));
      if (native !== undefined) platform.simulator.setState(native.value, state);
    }
  }
}

function platforms() {
  return sandbox.platforms.flatMap((platform) => {
    const found = sandbox.credentials.integrations.find(
      (each) => each.orgKey === platform.org.key && each.vendor === platform.vendor.enumValue,
    );
    return found === undefined ? [] : [{ platform, integrationId: found.id }];
  });
}

beforeAll(async () => {
  if (!isDeployed) return;
  sandbox = await openSandbox({ vendors, devices: 400 });
  const [org] = sandbox.credentials.orgs;
  orgId = org?.id ?? '';
  siteId = org?.siteIds[0] ?? '';
  feed = watch(sandbox, FEED, { org: orgId });
});

afterAll(async () => {
  await feed?.close();
  await sandbox?.close();
});

describe.runIf(isDeployed)('a power cut of a site with several platforms', () => {
  it('is one incident while it lasts, and over when power is back', async () => {
    const before = await eventually(async () => {
      const found = await site();
      return found?.devices.totalCount > 20 && found.health.online === found.health.total ? found : undefined;
    }, 'all devices of the site are online');
    const devices: readonly SiteDevice[] = before.devices.nodes;
    expect(new Set(devices.map(({ integration }) => integration.id)).size).toBe(SLUGS.length);

    power(devices, 'offline');
    const dark = await eventually(async () => {
      const found = await site();
      const [incident, ...others] = found.incidents.nodes;
      const isOne = others.length === 0 && incident?.cause === 'SITE_POWER';
      return isOne && found.health.suppressed === found.health.total ? found : undefined;
    }, 'one incident explains every device');
    const [incident] = dark.incidents.nodes;
    expect(incident.affectedCount).toBe(devices.length);
    expect(new Set(dark.devices.nodes.map(({ status }: Json) => status.incident.id))).toEqual(new Set([incident.id]));
    await eventually(async () => ((await told('incident.opened')) ? true : undefined), 'the incident is told of');

    power(devices, 'online');
    const light = await eventually(async () => {
      const found = await site();
      return found.incidents.totalCount === 0 && found.health.online === found.health.total ? found : undefined;
    }, 'the incident is over');
    expect(light.health.suppressed).toBe(0);
    await eventually(async () => ((await told('incident.closed')) ? true : undefined), 'its end is told of');
  });
});
