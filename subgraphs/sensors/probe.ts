import type { ProbeCheck, ProbeReport } from '../../adapter-kit/adapter.ts';
import type { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Connections } from './client.ts';
import type { Driver } from './driver.ts';
import { type Surveyed, trySources } from './surveys.ts';

type Finding = Pick<ProbeCheck, 'state' | 'detail'>;

/** A hundred sources with long names make a long line. */
const MAX_DETAIL = 2_000;
const PASS: Finding = { state: 'PASS', detail: null };

/** Which check a failure belongs to. */
function checkOf({ code, layer }: AdapterError): string {
  if (code === 'BLOCKED_ADDRESS') return 'dns';
  if (code === 'UNAUTHENTICATED' || code === 'MISCONFIGURED') return 'credentials';
  if (code === 'FORBIDDEN') return 'permission';
  if (layer === 'dns' || layer === 'tcp' || layer === 'tls') return layer;
  return 'inventory';
}

const TITLES: readonly (readonly [string, string])[] = [
  ['dns', 'The host names of all sources resolve'],
  ['tcp', 'All sources take connections'],
  ['tls', 'Their certificates are good'],
  ['credentials', 'All sources take their credentials'],
  ['permission', 'The credentials may listen and read'],
  ['inventory', 'All sources tell their sensors'],
  ['event-channel', 'Events can reach us'],
];

/** Asks every source for everything, once; the first check that one of them fails is where the probe ends. */
export async function probe(
  drivers: readonly Driver[],
  connections: Connections,
  hasLogin: (driver: Driver) => boolean,
  signal: AbortSignal,
): Promise<ProbeReport> {
  const found = await trySources(drivers, hasLogin, null, signal);
  let isBroken = false;
  const checks = TITLES.map(([id, title]): ProbeCheck => {
    if (isBroken) return { id, title, state: 'SKIPPED', detail: null };
    const failed = found.find(({ error }) => error !== null && checkOf(error) === id);
    isBroken = failed !== undefined;
    const finding: Finding =
      failed === undefined
        ? findingOf(id, found, connections)
        : { state: 'FAIL', detail: `${failed.driver.source.id}: ${failed.error?.message ?? ''}` };
    return { id, title, ...finding };
  });
  return { checks, accountId: null, accountName: null };
}

function findingOf(id: string, found: readonly Surveyed[], connections: Connections): Finding {
  switch (id) {
    case 'tcp': {
      // What a firewall between us and the sensors has to let through.
      const places = found.filter(({ driver: { source } }) => connections.hasHost(source));
      const list = places.map(({ driver: { source } }) => `${source.id} ${connections.urlOf(source).host}`);
      return { state: 'PASS', detail: list.length === 0 ? null : list.join(', ').slice(0, MAX_DETAIL) };
    }
    case 'tls': {
      const plain = found.filter(
        ({ driver: { source } }) => connections.hasHost(source) && connections.urlOf(source).protocol === 'http:',
      );
      return plain.length === 0
        ? PASS
        : { state: 'WARN', detail: `not encrypted: ${plain.map(({ driver }) => driver.source.id).join(', ')}` };
    }
    case 'inventory': {
      const count = found.reduce((sum, { devices }) => sum + (devices?.length ?? 0), 0);
      return count === 0
        ? { state: 'WARN', detail: 'no sensors yet' }
        : { state: 'PASS', detail: `${count} sensors and gateways` };
    }
    case 'event-channel': {
      const ways = new Set(
        found.map(({ driver: { source } }) => (source.protocol === 'http' ? 'webhook' : source.protocol)),
      );
      return { state: 'PASS', detail: [...ways].join(', ') };
    }
    default:
      return PASS;
  }
}
