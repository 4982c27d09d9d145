// A process that takes webhooks and processes them until it is killed: the crash test's subject, no part of the product.
// Arguments: database URL, schema or "". Writes its port to standard output.
import { createServer } from 'node:http';
import { openDatabase } from '../../storage/open-database.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { createIntake } from '../intake/intake.ts';
import { acme, quiet, testVault } from '../testing.ts';
import { createProcessor } from './processor.ts';

const [, , url = '', schema = ''] = process.argv;
const db = await openDatabase({ url, logger: quiet, ...(schema === '' ? {} : { schema }) });
const inbox = createInboxWriter({ db, logger: quiet });
const intake = createIntake({ db, vault: testVault, inbox, logger: quiet });
createProcessor({ db, vendors: [acme], logger: quiet }).start();
const server = createServer((req, res) => {
  void intake.handle(req, res, (req.url ?? '').split('/').at(-1) ?? '');
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`);
});
