import { parseArgs } from 'node:util';
import { backUp } from '../storage/backup/backup.ts';
import { manifestFileOf } from '../storage/backup/manifest.ts';
import { command, fail, findStore, megabytes, say } from './report.ts';

// npm run backup -- <file>

const USAGE = 'Usage: npm run backup -- <file>';

await command(async () => {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [target] = positionals;
  if (target === undefined || positionals.length > 1) return fail(USAGE);
  const { file } = findStore();
  if (file === null) {
    return fail(
      'The store is PostgreSQL, which has its own tools: `pg_dump --format=custom`, or continuous archiving. ' +
        'After a restore let `npm run verify` look at it.',
    );
  }
  const manifest = await backUp({ source: file, target });
  say(`${target}: ${megabytes(manifest.bytes)}, log up to ${manifest.head}, SHA-256 ${manifest.sha256}`);
  say(`${manifestFileOf(target)}: what is in it; restore needs both files.`);
  if (manifest.keyIds.length > 0) {
    say('The secrets in it are sealed. Keep the master key (MASTER_KEY, or master.key in DATA_DIR) elsewhere.');
  }
});
