/**
 * A Reconeyez cloud on loopback: the control API over HTTPS with its own certificate, deliveries to our address, and every
 * way to misbehave that we know. The controls `/_sim/*` are on a plain port beside it (see README.md).
 */
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Simulator, SimulatorOptions } from '../../adapter-kit/simulator.ts';
import { listenAgain, stop } from '../../adapter-kit/simulator-kit/listen.ts';
import { createControlApi, type User } from './simulator/api.ts';
import { answerControl } from './simulator/control.ts';
import { createDispatcher } from './simulator/dispatcher.ts';
import { createFaultBoard } from './simulator/faults.ts';
import { createPlatform } from './simulator/platform.ts';
import { createDay, routineChecks } from './simulator/scenarios.ts';
import { openState } from './simulator/state.ts';
import { chance, createWorld } from './simulator/world.ts';

/** The cloud and what only this vendor has. */
export interface ReconeyezSimulator extends Simulator {
  /** Its password is right; it may not control devices. */
  readonly powerless: User;
  setWords(nativeId: string, words: { readonly type?: string; readonly state?: string }): void;
  calls(): number;
  /** The most calls of one user that were under way at once. */
  peak(): number;
  startTraffic(options: { readonly everyMs: number }): void;
}

/** How long after its address was entered the devices make their next routine check; an hour at most with real ones. */
const FIRST_ROUTINE_CHECK_MS = 1_000;

function userOf(seed: number, username: string, mayControl: boolean): User {
  return { username, password: `pw-${chance(seed, username).toString(36).slice(2)}`, mayControl };
}

export async function startSimulator(options: SimulatorOptions): Promise<ReconeyezSimulator> {
  const { seed, now } = options;
  const file = openState(options.stateFile, now());
  const world = createWorld(options);
  const board = createFaultBoard(() => {
    platform.emit({ guid: null, event: 'SystemStarted' });
    dispatcher.wake();
  });
  const dispatcher = createDispatcher({ stateFile: options.stateFile, state: file.state, board, seed });
  const platform = createPlatform({ seed, world, file, board, dispatcher, now });
  const operator = userOf(seed, 'convergraph', true);
  const powerless = userOf(seed, 'onlooker', false);
  const api = createControlApi({ platform, board, users: [operator, powerless] });
  const day = createDay(platform, seed);
  let traffic: NodeJS.Timeout | undefined;
  let routine: NodeJS.Timeout | undefined;

  function startTraffic({ everyMs }: { readonly everyMs: number }): void {
    clearInterval(traffic);
    traffic = everyMs > 0 ? setInterval(day, everyMs).unref() : undefined;
  }

  const { certificatePem, privateKeyPem } = file.state;
  const cloud = createTlsServer({ cert: certificatePem, key: privateKeyPem }, (request, response) =>
    api.answer(request, response),
  );
  const controls = createServer((request, response) => {
    void answerControl({ platform, board, dispatcher, api, startTraffic }, request, response);
  });
  file.state.port = await listenAgain(controls, options.port, file.state.port);
  file.state.controlPort = await listenAgain(cloud, 0, file.state.controlPort);
  file.save();
  let closing: Promise<unknown> | null = null;

  return {
    url: `http://127.0.0.1:${file.state.port}`,
    integration: {
      baseUrl: `https://127.0.0.1:${file.state.controlPort}`,
      credentials: { basic: { username: operator.username, password: operator.password } },
      settings: { tlsCa: certificatePem },
      signatureProfile: 'PATH_SECRET',
    },
    powerless,
    devices: () => platform.devices(),
    sites: () => platform.areas().map((name) => ({ nativeOrgId: '', nativeId: name, name })),
    connectWebhook({ url, secret }) {
      const isFirst = file.state.hook === null;
      file.state.hook = { url, secret };
      file.save();
      if (isFirst) routine = setTimeout(() => routineChecks(platform), FIRST_ROUTINE_CHECK_MS).unref();
      dispatcher.wake();
    },
    setState(nativeId, state) {
      platform.setState(nativeId, state);
    },
    setWords: (nativeId, words) => platform.setWords(nativeId, words),
    calls: () => api.calls(),
    peak: () => api.peak(),
    startTraffic,
    async close() {
      clearInterval(traffic);
      clearTimeout(routine);
      board.close();
      api.close();
      dispatcher.close();
      closing ??= Promise.all([stop(cloud), stop(controls)]);
      await closing;
    },
  };
}
