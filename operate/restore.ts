import { parseArgs } from 'node:util';
import { restore } from '../storage/backup/restore.ts';
import { command, fail, findStore, say } from './report.ts';

// npm run restore -- <file> [--force]

const USAGE = 'Usage: npm run restore -- <file> [--force]';

await command(async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { force: { type: 'boolean', default: false } },
  });
  const [backup] = positionals;
  if (backup === undefined || positionals.length > 1) return fail(USAGE);
  const { file, vault } = findStore();
  if (file === null)
    return fail('The store is PostgreSQL: restore with `pg_restore`, then let `npm run verify` look at it.');
  const { manifest, putAside, isNewEpoch } = await restore({ backup, target: file, vault, isForced: values.force });
  say(`${file}: as it was at ${manifest.madeAt}, log up to ${manifest.head}`);
  if (putAside !== null) say(`${putAside}: what was there before`);
  say(
    isNewEpoch
      ? 'Streams that come with an older cursor are told of a gap.'
      : 'Cursors stay valid: nothing was logged after the backup.',
  );
  if (manifest.keyIds.length > 0 && (vault === null || !manifest.keyIds.includes(vault.keyId))) {
    say('The master key here cannot open the secrets in it: give every integration its credentials again.');
  }
});
