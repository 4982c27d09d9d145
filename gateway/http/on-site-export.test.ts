import { expect, it } from 'vitest';
import { z } from 'zod';
import { DEVICE_STATES, DEVICE_TYPES } from '../../schema/words.ts';
import { STATUS_WORDS, statusWord, TYPE_WORDS, typeWord } from '../../schema/contract/on-site.ts';
import { deviceRow, integrationRow } from '../../storage/fixtures/directory-rows.ts';
import { createOnSiteExport } from '../../storage/on-site-export.ts';
import { eachEngine } from '../../storage/testing.ts';
import { insertWorld } from '../../subgraphs/fixtures/world.ts';
import { startTestGateway } from '../testing.ts';

/** Exactly the contract's members. */
const Inventory = z.strictObject({
  devices: z.array(
    z.strictObject({
      id: z.string().startsWith('dev_'),
      name: z.string(),
      type: z.string(),
      customer_id: z.string(),
      status: z.string(),
      mac_address: z
        .string()
        .regex(/^([0-9A-F]{2}:){5}[0-9A-F]{2}$/)
        .optional(),
      ip: z.string().optional(),
    }),
  ),
});
const Health = z.strictObject({
  events: z.array(z.strictObject({ device_id: z.string(), status: z.string(), timestamp: z.iso.datetime() })),
});

it.each(DEVICE_TYPES)('type %s has a word that means it', (type) => {
  expect(TYPE_WORDS.get(typeWord(type))).toBe(type);
});
it.each(DEVICE_STATES)('state %s has a word that means it', (state) => {
  expect(STATUS_WORDS.get(statusWord(state))).toBe(state);
});
it("the contract's own words are the ones that are written", () => {
  expect([typeWord('CAMERA'), typeWord('CONTROLLER'), statusWord('ONLINE'), statusWord('OFFLINE')]).toEqual([
    'camera',
    'access_control',
    'online',
    'offline',
  ]);
});

eachEngine('export for adapters on site', (open) => {
  async function start() {
    const db = await open();
    await insertWorld(db);
    const gateway = await startTestGateway({ exports: createOnSiteExport(db) });
    const get = async (path: string, request = {}) => {
      const headers = { authorization: await gateway.authorization(request) };
      return fetch(`${gateway.url}/export/on-prem/${path}`, { headers });
    };
    return { db, gateway, get };
  }

  it("tells an org's devices in exactly the contract's shape", async () => {
    const { db, gateway, get } = await start();
    const answer = await get('org_a/inventory');
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    const { devices } = Inventory.parse(await answer.json());
    const stored = await db.read.selectFrom('devices').selectAll().where('org_id', '=', 'org_a').execute();
    expect(devices.map(({ id }) => id).toSorted()).toEqual(
      stored
        .filter((row) => row.removed_at === null)
        .map(({ id }) => id)
        .toSorted(),
    );
    expect(devices.every((device) => device.customer_id === 'ref-a_whole')).toBe(true);
    const byId = new Map(stored.map((row) => [row.id, row]));
    for (const { id, name, type, status, ip } of devices) {
      const row = byId.get(id);
      expect([name, TYPE_WORDS.get(type), STATUS_WORDS.get(status), ip ?? null]).toEqual([
        row?.name,
        row?.type,
        row?.state,
        row?.ip ?? null,
      ]);
    }
    const health = Health.parse(await (await get('org_a/health')).json());
    expect(health.events.map(({ device_id: id, status }) => [id, status])).toEqual(
      devices.map(({ id, status }) => [id, status]),
    );
    await gateway.close();
  });

  it('tells nothing outside of the scope', async () => {
    const { gateway, get } = await start();
    expect((await get('org_b/inventory', { orgIds: ['org_a'] })).status).toBe(404);
    expect((await get('org_none/health')).status).toBe(404);
    expect((await get('org_a/inventory', { scopes: ['events:read'] })).status).toBe(403);
    expect((await fetch(`${gateway.url}/export/on-prem/org_a/inventory`)).status).toBe(401);
    expect((await fetch(`${gateway.url}/export/on-prem/org_a/inventory`, { method: 'POST' })).status).toBe(405);
    const near = await get('org_a/inventory', { orgIds: ['org_a'], siteIds: ['site_a_near'] });
    const { devices } = Inventory.parse(await near.json());
    expect(devices.length).toBeGreaterThan(0);
    expect(JSON.stringify(devices)).not.toContain('far');
    await gateway.close();
  });

  it('tells each of many devices once, also those of one name', async () => {
    const { db, gateway, get } = await start();
    const integration = integrationRow('int_many', 'org_a');
    const rows = Array.from({ length: 1_201 }, (_, i) => deviceRow(integration, `many${i}`, { name: `twin ${i % 3}` }));
    await db.write(async (tx) => {
      for (let from = 0; from < rows.length; from += 100)
        await tx
          .insertInto('devices')
          .values(rows.slice(from, from + 100))
          .execute();
    });
    const { devices } = Inventory.parse(await (await get('org_a/inventory')).json());
    const ids = devices.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(rows.every(({ id }) => ids.includes(id))).toBe(true);
    await gateway.close();
  });
});
