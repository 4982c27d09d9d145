import { spawnSync } from 'node:child_process';
import { findBrowser, HOW_TO_INSTALL_BROWSER } from './browser.ts';
import { findPostgresBinaries, HOW_TO_INSTALL } from './postgres-binaries.ts';
import { findStrace, HOW_TO_INSTALL_STRACE } from './strace.ts';

// Installs what the tests run against and a fresh machine lacks. Says nothing when nothing is missing.

const services = [
  { name: 'PostgreSQL', package: 'postgresql', isThere: () => findPostgresBinaries() !== null, howTo: HOW_TO_INSTALL },
  { name: 'Chromium', package: 'chromium', isThere: () => findBrowser() !== null, howTo: HOW_TO_INSTALL_BROWSER },
  { name: 'strace', package: 'strace', isThere: () => findStrace() !== null, howTo: HOW_TO_INSTALL_STRACE },
];

function install(packages: readonly string[]): void {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '--yes', '--quiet', '--no-install-recommends', ...packages];
  for (const args of [['update', '--quiet'], install]) {
    const { status, stderr } = spawnSync('apt-get', args, { env: environment, encoding: 'utf8' });
    if (status !== 0) console.error(`apt-get ${args[0]} failed: ${stderr ?? ''}`);
  }
}

const missing = services.filter((service) => !service.isThere());
if (missing.length > 0 && process.getuid?.() === 0) {
  console.log(`Installing ${missing.map(({ name }) => name).join(' and ')} for the tests…`);
  install(missing.map((service) => service.package));
}
for (const service of missing) {
  if (service.isThere()) continue;
  console.error(service.howTo);
  process.exitCode = 1;
}
