import type { ProbeReport } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import { type ProbeFinding, runProbe } from '../../adapter-kit/probe.ts';
import type { VxgClient } from './client.ts';
import { isStorage } from './normalize.ts';
import type { WirePage } from './paging.ts';
import type { WireCamera } from './wire.ts';

export interface ProbeSubject {
  readonly baseUrl: URL;
  /** @throws AdapterError for an address or a key that cannot be used */
  readonly open: () => VxgClient;
  /** Without a key: nobody but the service itself is to see it. */
  readonly reach: (signal: AbortSignal) => Promise<void>;
}

const SCOPES: Readonly<Record<VxgClient['key']['scheme'], ProbeFinding>> = {
  LKey: { state: 'PASS', detail: 'a license key: the whole account' },
  SI: { state: 'WARN', detail: 'a group token: only the cameras of that group, without the names of groups' },
  Acc: { state: 'WARN', detail: 'a camera token: only that camera' },
};

/** Cameras looked at; enough to see what they are like. */
const SAMPLE = 50;

/** Tries what an integration lives from, one named check at a time, and leaves nothing behind. */
export async function probe({ baseUrl, open, reach }: ProbeSubject, signal: AbortSignal): Promise<ProbeReport> {
  const found: { page: WirePage<WireCamera> | null; failure: AdapterError | null } = { page: null, failure: null };
  const steps = [
    {
      id: 'credentials',
      title: 'The service takes the key',
      run: async (): Promise<ProbeFinding> => {
        const client = open();
        try {
          found.page = await client.cameras(client.cameraQuery(SAMPLE), signal);
        } catch (error) {
          // A key that is not allowed to do this is a good one; what it may do is the next check's.
          if (!(error instanceof AdapterError) || error.code !== 'FORBIDDEN') throw error;
          found.failure = error;
        }
        return { state: 'PASS', detail: null };
      },
    },
    {
      id: 'permission',
      title: 'The key opens cameras and groups',
      run: async (): Promise<ProbeFinding> => {
        if (found.failure !== null) throw found.failure;
        const client = open();
        const count = (await client.groups(signal)).length;
        return client.key.scheme === 'LKey'
          ? { state: 'PASS', detail: `the whole account, ${count} group(s)` }
          : SCOPES[client.key.scheme];
      },
    },
    {
      id: 'inventory',
      title: 'A page of cameras is listed',
      run: async (): Promise<ProbeFinding> => judgeInventory(found.page),
    },
    {
      id: 'event-channel',
      title: 'Events can be searched',
      run: async (): Promise<ProbeFinding> => {
        for await (const { total } of open().searchEvents({}, 1, signal))
          return { state: 'PASS', detail: total === null ? 'polled' : `polled; ${total} event(s) are kept` };
        return { state: 'PASS', detail: 'polled' };
      },
    },
  ];
  const checks = await runProbe(baseUrl, reach, steps, signal);
  return { checks, accountId: null, accountName: null };
}

function judgeInventory(page: WirePage<WireCamera> | null): ProbeFinding {
  const cameras = (page?.items ?? []).map(({ value }) => value).filter((camera) => !isStorage(camera));
  const [unreadable] = page?.rejected ?? [];
  if (unreadable !== undefined)
    return { state: 'WARN', detail: `${page?.rejected.length} camera(s) cannot be read: ${unreadable.reason}` };
  if (cameras.length === 0) return { state: 'WARN', detail: 'the key opens no cameras yet' };
  const silent = cameras.filter(({ status }) => status === null).length;
  if (silent > 0) return { state: 'WARN', detail: `${silent} of ${cameras.length} camera(s) have no status` };
  return page === null || page.total === null
    ? { state: 'WARN', detail: 'no total_count: completeness of a sync cannot be proven' }
    : { state: 'PASS', detail: `${page.total} camera(s)` };
}
