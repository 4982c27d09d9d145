import { buildSchema } from 'graphql';
import { createAuthenticator } from '../gateway/auth/authenticator.ts';
import { createGateway } from '../gateway/create-gateway.ts';
import { createLogger } from '../logger.ts';
import { createInboxWriter } from '../pipeline/inbox/inbox-writer.ts';
import { createIntake } from '../pipeline/intake/intake.ts';
import { loadMasterKey } from '../storage/master-key.ts';
import { openDatabase } from '../storage/open-database.ts';
import { createTurnMemory } from '../storage/sqlite/write-turn.ts';
import { createVault } from '../storage/vault.ts';
import { answerCalls } from './child.ts';
import { configOf, issuerOf, type Setting } from './setting.ts';

// The front door with the inbox behind it and no processing: what a delivery costs until it is acknowledged.

let close: () => Promise<void> = async () => undefined;

const calls = {
  async start(setting: Setting): Promise<string> {
    const config = configOf(setting, await issuerOf(setting));
    const logger = createLogger('warn');
    const vault = createVault({ masterKey: loadMasterKey({ value: undefined, dataDirectory: config.dataDir }) });
    // As the product opens it, whose other thread makes events of what is stored.
    const db = await openDatabase({
      url: config.databaseUrl,
      logger,
      thread: { memory: createTurnMemory(), number: 0 },
    });
    const inbox = createInboxWriter({ db, logger });
    const intake = createIntake({ db, vault, inbox, logger });
    const absent = (): never => {
      throw new Error('only deliveries are measured here');
    };
    const gateway = createGateway({
      config,
      logger,
      engine: {
        publicSchema: buildSchema('type Query { nothing: Int }'),
        execute: absent,
        subscribe: absent,
        streams: () => ({ groups: 0, subscribers: 0, items: 0, executed: 0, deliveries: 0 }),
      },
      authenticator: createAuthenticator({ ...config.auth, logger }),
      intake,
      syncs: { syncIntegration: absent },
      readiness: { database: () => db.head() },
    });
    close = async () => {
      await gateway.close();
      await intake.close();
      await inbox.close();
      await db.close();
    };
    return (await gateway.listen()).url;
  },
};

export type IntakeCalls = typeof calls;

answerCalls(calls, () => close());
