import { createLogger } from '../logger.ts';
import { createProcessor } from '../pipeline/process/processor.ts';
import { openDatabase } from '../storage/open-database.ts';
import { answerCalls } from './child.ts';
import { realVendor } from './memory-platform.ts';

// What makes events of deliveries, and nothing beside it.

const calls = {
  /** Makes events of everything that waits for an integration. @returns the CPU that took, in milliseconds */
  async drain({ databaseUrl, integrationId }: { readonly databaseUrl: string; readonly integrationId: string }) {
    const logger = createLogger('warn');
    const db = await openDatabase({ url: databaseUrl, logger });
    const processor = createProcessor({ db, vendors: [realVendor], logger });
    const before = process.cpuUsage();
    await processor.process(integrationId);
    const { user, system } = process.cpuUsage(before);
    await processor.stop();
    await db.close();
    return (user + system) / 1_000;
  },
};

export type ProcessCalls = typeof calls;

answerCalls(calls);
