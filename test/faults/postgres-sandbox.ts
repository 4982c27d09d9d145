import { createLogger } from '../../logger.ts';
import { stopOnSignal } from '../../main.ts';
import { banner } from '../../sandbox/banner.ts';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { vendors } from '../../subgraphs/index.ts';

// The sandbox on PostgreSQL, as a process of its own: `postgres-sandbox.ts <url> <devices> <port>`.

const [databaseUrl = '', devices = '', port = ''] = process.argv.slice(2);
const logger = createLogger('warn');
const sandbox = await startSandbox({
  vendors,
  dir: '.sandbox',
  host: '127.0.0.1',
  port: Number(port),
  devices: Number(devices),
  isStill: true,
  reset: false,
  databaseUrl,
  logger,
});
process.stdout.write(`${banner(sandbox.credentials, sandbox.devices, sandbox.credentialsFile)}\n`);
stopOnSignal(() => sandbox.close(), logger);
