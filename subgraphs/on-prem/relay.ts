// `node subgraphs/on-prem/relay.ts --config relay.json`: the adapter's way out of a customer's site. Runs alone, needs no
// database and calls out only; what it was given it keeps until the cloud has it.
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { loadRelayConfig, RelayConfigError } from './relay/config.ts';
import { createPoster } from './relay/post.ts';
import { createRelay } from './relay/relay.ts';
import { listenForRelay, portOf, readForRelay, watchForRelay } from './relay/sources.ts';

async function run(path: string): Promise<void> {
  await using parts = new AsyncDisposableStack();
  const config = loadRelayConfig(path);
  const logger = pino({ base: { program: 'relay' } });
  const poster = createPoster(config.cloud.ca);
  parts.defer(() => poster.close());
  const relay = await createRelay({ config, logger, now: () => new Date(), post: (...sent) => poster.post(...sent) });
  parts.defer(() => relay.close());

  const stopped = Promise.withResolvers<string>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.resolve(signal));
  if (config.listen !== undefined) {
    const { host } = config.listen;
    const server = await listenForRelay(relay, host, config.listen.port, logger);
    parts.defer(() => {
      server.close();
      server.closeAllConnections();
    });
    logger.info({ host, port: portOf(server) }, 'The relay listens');
  }
  if (config.watchDir !== undefined) {
    const watch = watchForRelay(relay, config.watchDir, logger);
    parts.defer(() => watch.close());
  }
  if (config.stdin) void readForRelay(relay, process.stdin, logger);
  const report = setInterval(() => logger.info(relay.status(), 'The relay works'), config.reportSeconds * 1_000);
  parts.defer(() => clearInterval(report));
  logger.info({ ...relay.status(), url: config.cloud.url }, 'The relay is up');
  const signal = await stopped.promise;
  logger.info({ ...relay.status(), signal }, 'The relay stops; what is queued stays on disk');
}

const { values } = parseArgs({ options: { config: { type: 'string' } } });
try {
  if (values.config === undefined)
    throw new RelayConfigError('usage: node subgraphs/on-prem/relay.ts --config relay.json');
  await run(values.config);
  process.exit(0);
} catch (error) {
  if (!(error instanceof RelayConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
