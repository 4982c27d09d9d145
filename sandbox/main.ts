import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError, loadListenConfig } from '../config.ts';
import { createLogger } from '../logger.ts';
import { isStartFault, stopOnSignal } from '../main.ts';
import { vendors } from '../subgraphs/index.ts';
import { banner } from './banner.ts';
import { startSandbox } from './sandbox.ts';

const DIRECTORY = '.sandbox';
const MAX_DEVICES = 1_000_000;

function readArguments() {
  const { values } = parseArgs({
    options: {
      devices: { type: 'string', default: '500' },
      still: { type: 'boolean', default: false },
      reset: { type: 'boolean', default: false },
    },
  });
  const devices = Number(values.devices);
  if (!Number.isSafeInteger(devices) || devices < 1 || devices > MAX_DEVICES) {
    throw new ConfigError([{ variable: '--devices', message: `must be a whole number from 1 to ${MAX_DEVICES}` }]);
  }
  return { devices, isStill: values.still, reset: values.reset };
}

try {
  const { host, port, logLevel } = loadListenConfig('warn');
  const logger = createLogger(logLevel);
  const sandbox = await startSandbox({ vendors, dir: DIRECTORY, host, port, ...readArguments(), logger });
  console.log(banner(sandbox.credentials, sandbox.devices, relative(process.cwd(), sandbox.credentialsFile)));
  stopOnSignal(() => sandbox.close(), logger);
} catch (error) {
  if (!isStartFault(error)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
