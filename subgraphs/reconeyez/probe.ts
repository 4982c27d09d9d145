import type { ProbeReport } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { HttpClientFactory } from '../../adapter-kit/http/http-client.ts';
import { type ProbeFinding, runProbe } from '../../adapter-kit/probe.ts';
import { controlAddress, createReconeyezClient, type ReconeyezClient } from './client.ts';
import type { ReconeyezSettings } from './settings.ts';
import type { WireDevices } from './wire.ts';

export interface ProbeSubject {
  readonly baseUrl: URL;
  readonly http: HttpClientFactory;
  readonly settings: ReconeyezSettings;
  /** @throws AdapterError for an address that we do not connect to, or a TLS policy that cannot work */
  open(): ReconeyezClient;
}

/** The vendor's own pages disagree about where the control API of the UK instance is. */
const UK_HOSTS = ['uk.reconeyez.com', 'integrations.reconeyez.com'];

/** Tries what an integration needs. The first call goes out without credentials. */
export async function probe(subject: ProbeSubject, signal: AbortSignal): Promise<ProbeReport> {
  let found: WireDevices | null = null;
  const checks = await runProbe(
    controlAddress(subject.baseUrl),
    async () => subject.open().reach(signal),
    [
      {
        id: 'credentials',
        title: 'The platform takes user and password',
        run: async () => {
          try {
            found = await subject.open().devices(signal);
          } catch (error) {
            // What else can be wrong with the list is not the user's fault; it is told by the check of the list.
            if (!(error instanceof AdapterError) || error.code === 'UNAUTHENTICATED' || error.retryable) throw error;
          }
          return undefined;
        },
      },
      {
        id: 'permission',
        title: 'The user may control devices',
        // A missing permission looks like a wrong password: whoever is answered has it.
        run: async () => {
          await subject.open().sirens(signal);
          return undefined;
        },
      },
      {
        id: 'inventory',
        title: 'The devices are listed',
        run: async () => judge(found ?? (await subject.open().devices(signal))),
      },
      {
        id: 'event-channel',
        title: 'The cloud delivers events here',
        run: async () => ({
          state: 'WARN',
          detail:
            'cannot be tried from here: Reconeyez support enters our address, path secret included, as a JSON integration',
        }),
      },
    ],
    signal,
  );
  const isConnected = !checks.some(({ id, state }) => ['dns', 'tcp', 'tls'].includes(id) && state === 'FAIL');
  const other = isConnected ? null : await otherHost(subject, signal);
  const hint = other === null ? '' : `; ${other} answers: use it as the base URL`;
  return {
    checks: checks.map((check) => (check.state === 'FAIL' ? { ...check, detail: `${check.detail}${hint}` } : check)),
    accountId: null,
    accountName: null,
  };
}

function judge({ devices, rejected }: WireDevices): ProbeFinding {
  const areas = new Set(devices.map(({ area }) => area)).size;
  const count = `${devices.length} device(s) in ${areas} area(s)`;
  if (devices.length === 0) return { state: 'WARN', detail: 'the platform lists no devices' };
  if (rejected.length > 0) return { state: 'WARN', detail: `${count}, ${rejected.length} more without a GUID` };
  return { state: 'PASS', detail: count };
}

/** @returns the other of the two UK hosts when it answers where this one does not */
async function otherHost({ baseUrl, http, settings }: ProbeSubject, signal: AbortSignal): Promise<string | null> {
  if (!UK_HOSTS.includes(baseUrl.hostname)) return null;
  const url = new URL(baseUrl);
  url.hostname = UK_HOSTS.find((host) => host !== baseUrl.hostname) ?? baseUrl.hostname;
  let client: ReconeyezClient | null = null;
  try {
    client = createReconeyezClient(url, http, null, settings);
    await client.reach(signal);
    return url.hostname;
  } catch (error) {
    if (error instanceof AdapterError) return null;
    throw error;
  } finally {
    await client?.close();
  }
}
