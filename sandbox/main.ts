import { relative, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError, loadListenConfig } from '../config.ts';
import { createLogger } from '../logger.ts';
import { isStartFault, PROCESSING_ENTRY, stopOnSignal } from '../main.ts';
import { vendors } from '../subgraphs/index.ts';
import { banner } from './banner.ts';
import { readCredentials, type SandboxCredentials } from './credentials.ts';
import { startSandbox } from './sandbox.ts';
import { type Scenario, ScenarioError } from './scenarios/scenario.ts';
import { describeScenarios, SCENARIOS } from './scenarios/scenarios.ts';
import { createStage } from './scenarios/stage.ts';

const DIRECTORY = '.sandbox';
const MAX_DEVICES = 1_000_000;

function readArguments() {
  const { values } = parseArgs({
    options: {
      devices: { type: 'string', default: '500' },
      still: { type: 'boolean', default: false },
      reset: { type: 'boolean', default: false },
      scenario: { type: 'string' },
    },
  });
  const devices = Number(values.devices);
  if (!Number.isSafeInteger(devices) || devices < 1 || devices > MAX_DEVICES) {
    throw new ConfigError([{ variable: '--devices', message: `must be a whole number from 1 to ${MAX_DEVICES}` }]);
  }
  const scenario = SCENARIOS.find(({ name }) => name === values.scenario);
  if (values.scenario !== undefined && scenario === undefined) {
    throw new ConfigError([{ variable: '--scenario', message: `is one of\n${describeScenarios()}` }]);
  }
  return { scenario, options: { devices, isStill: values.still, reset: values.reset } };
}

/** The credentials of a sandbox that runs already, in another terminal. */
async function findRunning(): Promise<SandboxCredentials | null> {
  const credentials = readCredentials(join(DIRECTORY, 'credentials.json'));
  if (credentials === null) return null;
  const answer = await fetch(new URL('/livez', credentials.graphqlUrl)).catch(() => null);
  return answer?.ok === true ? credentials : null;
}

async function play(scenario: Scenario, credentials: SandboxCredentials): Promise<void> {
  console.log(`${scenario.name}: ${scenario.summary}`);
  const { done, watch } = await scenario.run(createStage(credentials));
  console.log(`${done.map((line) => `  ${line}`).join('\n')}\n\nLook at it in the playground:\n  ${watch}\n`);
}

try {
  const { scenario, options } = readArguments();
  const running = scenario === undefined || options.reset ? null : await findRunning();
  if (scenario !== undefined && running !== null) {
    await play(scenario, running);
  } else {
    const { host, port, logLevel } = loadListenConfig('warn');
    const logger = createLogger(logLevel);
    const sandbox = await startSandbox({
      vendors,
      dir: DIRECTORY,
      host,
      port,
      ...options,
      logger,
      processingThread: PROCESSING_ENTRY,
    });
    console.log(banner(sandbox.credentials, sandbox.devices, relative(process.cwd(), sandbox.credentialsFile)));
    stopOnSignal(() => sandbox.close(), logger);
    if (scenario !== undefined) await play(scenario, sandbox.credentials);
  }
} catch (error) {
  if (!isStartFault(error) && !(error instanceof ScenarioError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
