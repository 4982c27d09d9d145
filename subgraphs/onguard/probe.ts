import type { ProbeReport } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type ProbeFinding, runProbe } from '../../adapter-kit/probe.ts';
import { bridgeQuery } from './bridge-transport.ts';
import type { OnGuardClient } from './client.ts';
import type { InventoryReader } from './inventory.ts';
import { KINDS } from './kinds.ts';
import type { OnGuardSettings } from './settings.ts';
import { findSubscription, subscriptionName } from './subscription.ts';
import { WireNegotiation } from './wire.ts';

export interface ProbeSubject {
  readonly baseUrl: URL;
  readonly settings: OnGuardSettings;
  readonly integrationId: string;
  /** @throws AdapterError for an address that we do not connect to */
  readonly open: () => { readonly client: OnGuardClient; readonly reader: InventoryReader };
}

/** Oldest release that this was written against. */
const OLDEST: readonly [number, number] = [7, 5];

function pass(detail: string | null): ProbeFinding {
  return { state: 'PASS', detail };
}

function warn(detail: string): ProbeFinding {
  return { state: 'WARN', detail };
}

/**
 * Tries what an integration needs, from the name of the host to the event bridge, and leaves nothing behind. The first call
 * goes out without credentials.
 */
export async function probe(subject: ProbeSubject, signal: AbortSignal): Promise<ProbeReport> {
  const { settings } = subject;
  let product: string | null = null;
  const checks = await runProbe(
    subject.baseUrl,
    async () => subject.open().client.reach(signal),
    [
      {
        id: 'credentials',
        title: 'The platform takes the account and the Application-Id',
        run: async () => {
          await subject.open().client.session.token(signal);
          return undefined;
        },
      },
      {
        id: 'version',
        title: 'The release is one that is supported',
        run: async () => {
          const { name, version } = await subject.open().client.version(signal);
          product = name;
          return judgeVersion(version);
        },
      },
      {
        id: 'permission',
        title: 'The account sees panels and segments',
        run: async () => judgePermission(subject, signal),
      },
      { id: 'inventory', title: 'A page of readers is listed', run: async () => judgeInventory(subject, signal) },
      {
        id: 'status',
        title: 'The status of a panel can be read',
        run: async () => judgeStatus(subject, signal),
      },
      {
        id: 'event-channel',
        title: 'The event bridge answers, and subscriptions can be listed',
        run: async () => judgeEvents(subject, signal),
      },
      {
        id: 'event-codes',
        title: 'The event codes of the site can be read',
        run: async () => judgeCodes(subject.open().client, signal),
      },
    ],
    signal,
  );
  return { checks, accountId: null, accountName: product ?? settings.systemName };
}

function judgeVersion(version: string | null): ProbeFinding {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  if (version === null || major === undefined || minor === undefined)
    return warn('the platform does not tell its release');
  const isOld = Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1]);
  return isOld
    ? warn(`${version} is older than ${OLDEST.join('.')}, the oldest release that is supported`)
    : pass(version);
}

async function judgePermission({ open }: ProbeSubject, signal: AbortSignal): Promise<ProbeFinding> {
  const { client, reader } = open();
  const segments = await reader.segments(signal);
  const { total, items } = await client.instances({ typeName: 'Lnl_Panel', page: 1 }, signal);
  const count = total ?? items.length;
  // An account that is kept to some segments gets a shorter list and no error.
  if (count === 0) return warn('the account sees no panel: check its segments and permission groups');
  return pass(`${count} panel(s), ${segments.size === 0 ? 'no segments' : `${segments.size} segment(s)`}`);
}

async function judgeInventory({ open }: ProbeSubject, signal: AbortSignal): Promise<ProbeFinding> {
  const kind = KINDS.find(({ name }) => name === 'reader');
  if (kind === undefined) return warn('no readers are listed');
  const { list } = await open().reader.page(kind, 1, signal);
  const [unreadable] = list.rejected;
  if (unreadable !== undefined) return warn(`${list.rejected.length} reader(s) cannot be read: ${unreadable.reason}`);
  return list.total === null
    ? warn('no total: completeness of a sync cannot be proven')
    : pass(`${list.total} reader(s)`);
}

async function judgeStatus({ open }: ProbeSubject, signal: AbortSignal): Promise<ProbeFinding> {
  const { client, reader } = open();
  const kind = KINDS.find(({ name }) => name === 'panel');
  const panel = kind === undefined ? undefined : (await reader.page(kind, 1, signal)).list.instances[0];
  if (panel === undefined) return warn('there is no panel to ask');
  try {
    const answer = await client.execute('Lnl_Panel', 'GetHardwareStatus', { ID: panel.place.panelId }, signal);
    return answer.has('status') ? pass(null) : warn('the answer has no Status');
  } catch (error) {
    return tolerated(error);
  }
}

async function judgeEvents(
  { settings, integrationId, open }: ProbeSubject,
  signal: AbortSignal,
): Promise<ProbeFinding> {
  const { client } = open();
  try {
    const negotiation = await client.bridge({ name: 'negotiate', query: bridgeQuery(), signal }, WireNegotiation);
    const known = await findSubscription(client, subscriptionName(settings, integrationId), signal);
    const how = negotiation.TryWebSockets === false ? 'long polling' : 'WebSocket offered';
    return pass(`${how}, ${known === null ? 'no subscription yet' : 'subscription is there'}`);
  } catch (error) {
    // Status can be polled without it.
    return tolerated(error);
  }
}

async function judgeCodes(client: OnGuardClient, signal: AbortSignal): Promise<ProbeFinding> {
  try {
    const { total, items } = await client.instances({ typeName: 'Lnl_EventSubtypeDefinition', page: 1 }, signal);
    return items.length === 0
      ? warn('the catalogue is empty: events are told by their own words')
      : pass(`${total ?? items.length} code(s)`);
  } catch (error) {
    return tolerated(error);
  }
}

function tolerated(error: unknown): ProbeFinding {
  if (!(error instanceof AdapterError)) throw error;
  return warn(error.message);
}
