import { parseArgs } from 'node:util';
import { verifyStore } from '../storage/backup/verify.ts';
import { openReadOnly } from '../storage/open-read-only.ts';
import { command, fail, findStore, say } from './report.ts';

// npm run verify [-- <file>]

/** Broken segments that are named; one flipped bit breaks one. */
const MAX_NAMED = 10;

await command(async () => {
  const { positionals } = parseArgs({ allowPositionals: true });
  const { url, vault } = findStore();
  const [file] = positionals;
  const store = openReadOnly(file === undefined ? url : `sqlite:${file}`);
  try {
    const { damage, chain, facts, unreadableSecrets } = await verifyStore(store, vault);
    say(`schema ${facts.schema}, epoch ${facts.epoch}, log ${facts.tail + 1} to ${facts.head}`);
    say(
      Object.entries(facts.counts)
        .map(([table, count]) => `${table} ${count}`)
        .join(', '),
    );
    say(
      `${chain.events} events match ${chain.segments} seals, ${chain.unsealed} are not sealed yet; last seal ${chain.head ?? 'none'}`,
    );
    for (const line of damage) fail(`damaged: ${line}`);
    for (const { afterSeq, toSeq, reason } of chain.broken.slice(0, MAX_NAMED)) {
      fail(
        `the log does not match its seal: ${afterSeq + 1} to ${toSeq} (${reason === 'CONTENT' ? 'other events' : 'another order of seals'})`,
      );
    }
    if (chain.broken.length > MAX_NAMED) fail(`and ${chain.broken.length - MAX_NAMED} more`);
    if (unreadableSecrets === null) say('no master key here: the secrets were not looked at');
    else if (unreadableSecrets > 0) fail(`${unreadableSecrets} secrets cannot be opened with the master key at hand`);
    else say('every secret opens with the master key at hand');
    if (process.exitCode === undefined) say('whole');
  } finally {
    await store.close();
  }
});
