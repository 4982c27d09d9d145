/**
 * A vendor's cloud that keeps the contract, on loopback: the calls of section 3, the webhooks of section 4, and every way
 * to misbehave that we know. Beside it `/_sim/*` (see README.md).
 */
import { createServer } from 'node:http';
import type { Simulator, SimulatorOptions } from '../../adapter-kit/simulator.ts';
import { listenAgain, stop } from '../../adapter-kit/simulator-kit/listen.ts';
import { type Access, createAccess, createKeys } from './simulator/access.ts';
import { type ApiParts, answerApi } from './simulator/api.ts';
import { answerControl, type ControlParts } from './simulator/control.ts';
import { createDispatcher } from './simulator/dispatcher.ts';
import { createFaultBoard } from './simulator/faults.ts';
import { sendJson } from './simulator/http.ts';
import { createPlatform } from './simulator/platform.ts';
import { uuidOf } from './simulator/random.ts';
import { openState, PROFILES } from './simulator/state.ts';
import { createTraffic } from './simulator/traffic.ts';
import { createWorld } from './simulator/world.ts';

/** The vendor's cloud and what only this vendor has. */
export interface VendorCloudSimulator extends Simulator {
  /** The other ways in, beside the key in `integration`. */
  readonly access: Pick<Access, 'apiKey' | 'oauth' | 'issuer'>;
  setWords(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
  calls(): number;
  startTraffic(options: { readonly everyMs: number }): void;
}

export async function startSimulator(options: SimulatorOptions): Promise<VendorCloudSimulator> {
  const { seed, accountId, now } = options;
  const file = await openState(options.stateFile, async () => ({
    port: 0,
    ...(await createKeys()),
    events: 0,
    devices: {},
    hooks: [],
  }));
  const world = createWorld(options);
  const board = createFaultBoard(() => dispatcher.wake());
  const dispatcher = createDispatcher({ stateFile: options.stateFile, state: file.state, board, seed, now });
  const platform = createPlatform({ seed, world, file, board, dispatcher, now });
  const traffic = createTraffic(platform, seed);
  const access = await createAccess(seed, accountId, file.state.publicKeyPem, now);
  let calls = 0;
  const api: ApiParts = { seed, platform, board, access, file, dispatcher };
  const control: ControlParts = {
    platform,
    board,
    dispatcher,
    file,
    calls: () => calls,
    startTraffic: (wanted) => traffic.start(wanted),
  };

  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? '/', 'http://127.0.0.1');
    if (url === null) return sendJson(response, 400, { error: 'the address cannot be read' });
    const isControl = url.pathname.startsWith('/_sim/');
    if (!isControl) calls += 1;
    const answered = isControl
      ? answerControl(control, request, response, url)
      : answerApi(api, request, response, url);
    answered.catch(() => {
      if (!response.headersSent) sendJson(response, 500, { error: 'the simulator failed' });
      else response.destroy();
    });
  });
  file.state.port = await listenAgain(server, options.port, file.state.port);
  file.save();
  const url = `http://127.0.0.1:${file.state.port}`;

  return {
    url,
    integration: {
      baseUrl: url,
      credentials: {
        signedJwt: { issuer: access.issuer, privateKeyPem: file.state.privateKeyPem, ttlSeconds: 300 },
      },
      settings: {},
      signatureProfile: 'CONTRACT_V1',
    },
    access: { apiKey: access.apiKey, oauth: access.oauth, issuer: access.issuer },
    devices: () => platform.devices(),
    sites: () => world.sites.map(({ siteId, name }) => ({ nativeOrgId: accountId, nativeId: siteId, name })),
    connectWebhook({ url: target, profile, secret }) {
      const name = profile.toLowerCase().replaceAll('_', '-');
      const known = PROFILES.find((candidate) => candidate === name);
      if (known === undefined) throw new RangeError(`this platform cannot sign as ${profile}`);
      const hooks = file.state.hooks.filter((hook) => hook.url !== target);
      hooks.push({ id: uuidOf(seed, `webhook by hand ${target}`), url: target, profile: known, secret });
      file.state.hooks = hooks;
      file.save();
      dispatcher.wake();
    },
    setState(nativeId, state) {
      if (platform.find(nativeId) === undefined) throw new RangeError(`there is no device ${nativeId}`);
      platform.setState(nativeId, state);
    },
    setWords: (nativeId, words) => platform.setWords(nativeId, words),
    calls: () => calls,
    startTraffic: (wanted) => traffic.start(wanted),
    async close() {
      traffic.stop();
      board.close();
      dispatcher.close();
      await stop(server);
    },
  };
}
