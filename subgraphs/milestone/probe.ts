import type { ProbeReport } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type ProbeFinding, runProbe } from '../../adapter-kit/probe.ts';
import type { Catalogue } from './catalogue.ts';
import type { MilestoneClient } from './client.ts';
import { createEventSocket } from './event-socket.ts';
import { nameOf } from './normalize.ts';
import { startSession, subscribe } from './session.ts';

/** 2023 R3: the first release with the Events and State API. */
const FIRST_WITH_EVENTS = [23, 3] as const;

function isBefore(version: string, [major, minor]: readonly [number, number]): boolean {
  const [theirMajor = 0, theirMinor = 0] = version.split('.').map(Number);
  return theirMajor < major || (theirMajor === major && theirMinor < minor);
}

/** Tries what an integration needs, without leaving anything behind: the session ends with its connection. */
export async function probe(
  baseUrl: URL,
  open: () => { readonly client: MilestoneClient; readonly catalogue: Catalogue },
  signal: AbortSignal,
): Promise<ProbeReport> {
  let accountId: string | null = null;
  let accountName: string | null = null;

  async function permission(): Promise<ProbeFinding> {
    const { client } = open();
    const { items } = await client.page('sites', 0, 'live', signal);
    const [site] = items;
    accountId = await client.licence(signal);
    if (site === undefined) return warn('the management server is not visible: the user’s role may not read it');
    accountName = nameOf(site);
    return pass(site.version === '' ? accountName : `${accountName}, version ${site.version}`);
  }

  async function inventory(): Promise<ProbeFinding> {
    const { client } = open();
    const [servers, hardware, cameras] = await Promise.all([
      client.page('recordingServers', 0, 'live', signal),
      client.page('hardware', 0, 'live', signal),
      client.page('cameras', 0, 'live', signal),
    ]);
    const count = (page: typeof servers): string => `${page.items.length}${page.hasMore ? ' or more' : ''}`;
    const detail = `${count(servers)} recording server(s), ${count(hardware)} hardware, ${count(cameras)} camera(s)`;
    // What a user may not see is absent, not refused.
    return cameras.items.length === 0 ? warn(`${detail}: the user’s role may not see them`) : pass(detail);
  }

  async function eventChannel(): Promise<ProbeFinding> {
    const { client, catalogue } = open();
    const version = (await client.page('sites', 0, 'live', signal)).items[0]?.version ?? '';
    if (version !== '' && isBefore(version, FIRST_WITH_EVENTS))
      return warn(`version ${version} has no event socket (2023 R3 has): inventory without states`);
    try {
      await catalogue.ready(signal);
      const socket = createEventSocket(await client.openEvents(signal), () => undefined);
      try {
        await startSession(socket, null, signal);
        await subscribe(socket, [{ resourceTypes: ['*'], eventTypes: catalogue.communication() }], signal);
      } finally {
        socket.close();
      }
    } catch (error) {
      if (!(error instanceof AdapterError) || error.code !== 'NOT_FOUND') throw error;
      return warn('there is no event socket at this address: inventory without states');
    }
    return pass(null);
  }

  const checks = await runProbe(
    baseUrl,
    async (within) => open().client.reach(within),
    [
      {
        id: 'credentials',
        title: 'The identity provider takes the user',
        run: async () => {
          await open().client.login();
          return undefined;
        },
      },
      { id: 'permission', title: 'The user may read the configuration', run: permission },
      { id: 'inventory', title: 'Pages of inventory are listed', run: inventory },
      { id: 'event-channel', title: 'Events and states can be subscribed to', run: eventChannel },
    ],
    signal,
  );
  return { checks, accountId, accountName };
}

function pass(detail: string | null): ProbeFinding {
  return { state: 'PASS', detail };
}

function warn(detail: string): ProbeFinding {
  return { state: 'WARN', detail };
}
