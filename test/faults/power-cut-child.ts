// A process that takes webhooks and processes them until it is killed; its system calls are written down.
// Arguments: database URL, `full` or `normal`. Writes its port and its process id to standard output.
import { createServer } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { createInboxWriter } from '../../pipeline/inbox/inbox-writer.ts';
import { createIntake } from '../../pipeline/intake/intake.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { acme, quiet, testVault } from '../../pipeline/testing.ts';
import { openDatabase } from '../../storage/open-database.ts';
import { createTurnMemory } from '../../storage/sqlite/write-turn.ts';

const [, , url = '', durability = ''] = process.argv;
if (durability === 'normal') {
  // The product has no such switch: what it would lose is what the test has to notice.
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`, see below
  const { exec } = DatabaseSync.prototype;
  DatabaseSync.prototype.exec = function (sql) {
    exec.call(this, sql.replaceAll('synchronous=full', 'synchronous=normal'));
  };
}
// As in the product: one handle stores what arrives, another one moves and processes it.
const memory = createTurnMemory();
// Often enough for the power to be cut in the middle of it.
const checkpointMs = 100;
const db = await openDatabase({ url, logger: quiet, checkpointMs, thread: { memory, number: 0 } });
const processing = await openDatabase({ url, logger: quiet, thread: { memory, number: 1 } });
db.doorbell.on('inbox', () => processing.doorbell.ring('inbox'));
processing.doorbell.on('log', () => db.doorbell.ring('log'));
const inbox = createInboxWriter({ db, logger: quiet });
const intake = createIntake({ db, vault: testVault, inbox, logger: quiet });
createProcessor({ db: processing, vendors: [acme], logger: quiet }).start();
const server = createServer((req, res) => {
  void intake.handle(req, res, (req.url ?? '').split('/').at(-1) ?? '');
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''} ${process.pid}\n`);
});
