import { expect, it, onTestFinished } from 'vitest';
import { startTestGateway } from '../../gateway/testing.ts';
import { createOnSiteExport } from '../../storage/on-site-export.ts';
import { eachEngine } from '../../storage/testing.ts';
import { insertWorld } from '../fixtures/world.ts';
import { onPrem } from './index.ts';

eachEngine('export for adapters on site', (open) => {
  it('is read by our own receiver as the devices that it was made of', async () => {
    const db = await open();
    await insertWorld(db);
    const gateway = await startTestGateway({ exports: createOnSiteExport(db) });
    onTestFinished(() => gateway.close());
    const headers = { authorization: await gateway.authorization({}) };
    const body = Buffer.from(
      await (await fetch(`${gateway.url}/export/on-prem/org_a/inventory`, { headers })).arrayBuffer(),
    );
    const message = { body, headers: {}, source: 'WEBHOOK', receivedAt: new Date(0) } as const;
    const context = { settings: onPrem.settings.parse({}), onlySite: null, profile: null };
    const drafts = onPrem.decodeInventory?.(message, context)?.devices ?? [];
    const stored = await db.read
      .selectFrom('devices')
      .select(['id', 'name', 'type', 'state', 'ip'])
      .where('org_id', '=', 'org_a')
      .where('removed_at', 'is', null)
      .orderBy('id')
      .execute();
    expect(stored.length).toBeGreaterThan(3);
    expect(
      drafts
        .map(({ nativeId: id, name, type, status, ip }) => ({ id, name, type, state: status?.state, ip }))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    ).toEqual(stored);
  });
});
