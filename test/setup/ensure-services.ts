import { spawnSync } from 'node:child_process';
import { findPostgresBinaries, HOW_TO_INSTALL } from './postgres-binaries.ts';

// Installs what the tests run against and a fresh machine lacks. Says nothing when nothing is missing.

if (findPostgresBinaries() === null) {
  if (process.getuid?.() !== 0) {
    console.error(HOW_TO_INSTALL);
    process.exit(1);
  }
  console.log('Installing PostgreSQL for the tests…');
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '--yes', '--quiet', '--no-install-recommends', 'postgresql'];
  for (const args of [['update', '--quiet'], install]) {
    const { status, stderr } = spawnSync('apt-get', args, { env: environment, encoding: 'utf8' });
    if (status !== 0) console.error(`apt-get ${args[0]} failed: ${stderr ?? ''}`);
  }
  if (findPostgresBinaries() === null) {
    console.error(HOW_TO_INSTALL);
    process.exit(1);
  }
}
