import { expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import { defineEventTable } from '../../adapter-kit/event-table.ts';
import { createDeadLetters } from '../../pipeline/dead-letters/dead-letters.ts';
import { createInboxWriter } from '../../pipeline/inbox/inbox-writer.ts';
import { createProcessor } from '../../pipeline/process/processor.ts';
import { createLogTail } from '../../pipeline/stream/log-tail.ts';
import { acme, acmeBody, NOON, quiet, seed } from '../../pipeline/testing.ts';
import { EVENT_TYPES } from '../../schema/catalogue/event-types.ts';
import { EVENT_CODECS } from '../../schema/formats/formats.ts';
import { EVENT_FORMATS } from '../../schema/words.ts';
import { createCursorCodec } from '../../storage/cursor.ts';
import { eachEngine } from '../../storage/testing.ts';
import { countUnknownCodes } from '../../storage/unknown-codes.ts';
import { ask, principal } from '../fixtures/ask.ts';
import { createEventsSubgraph } from './index.ts';

/** A vendor with a table of two codes. */
const mapped: Vendor = {
  ...acme,
  eventTable: defineEventTable(4, [
    { code: 'DWN', type: 'health.offline', family: 'HEALTH', severity: 'WARNING', notes: 'state' },
    { code: 'FIRE', type: 'alarm.fire', family: 'ALARM', severity: 'CRITICAL', notes: null },
  ]),
};

const CATALOGUE = `query ($family: EventFamily, $vendor: Vendor) {
  eventTypes(family: $family, vendor: $vendor) {
    name family version severity description deprecatedAt jsonSchema
    mappings { vendor vendorCode notes tableVersion }
    native: sample cloudEvent: sample(format: CLOUDEVENTS) webhook: sample(format: STANDARD_WEBHOOK)
  }
}`;

eachEngine('the catalogue in the graph', (open) => {
  async function start() {
    const db = await open();
    const seeded = await seed(db);
    const inbox = createInboxWriter({ db, logger: quiet });
    const processor = createProcessor({ db, vendors: [mapped], logger: quiet, now: () => NOON });
    const tail = createLogTail({ db, logger: quiet });
    onTestFinished(async () => {
      await tail.stop();
      await processor.stop();
      await inbox.close();
      await db.close();
    });
    const deadLetters = createDeadLetters({ db, processor });
    const cursors = createCursorCodec(Buffer.alloc(32, 7));
    const subgraph = createEventsSubgraph({ db, cursors, tail, deadLetters, now: () => NOON }, [mapped]);
    return { db, subgraph, inbox, processor, seeded };
  }

  it('has every type with a schema, and samples in every format that it takes', async () => {
    const { subgraph } = await start();
    const { data, errors } = await ask(subgraph, principal({ scopes: [] }), CATALOGUE);
    expect(errors).toEqual([]);
    expect(data.eventTypes.map(({ name }: { name: string }) => name)).toEqual(EVENT_TYPES.map(({ name }) => name));
    for (const type of data.eventTypes) {
      const schema = z.fromJSONSchema(type.jsonSchema);
      const samples = [
        EVENT_CODECS.NATIVE.decode(type.native),
        EVENT_CODECS.CLOUDEVENTS.decode(type.cloudEvent),
        EVENT_CODECS.STANDARD_WEBHOOK.decode(type.webhook),
      ];
      for (const sample of samples) expect(schema.parse(sample)).toEqual(samples[0]);
    }
  });

  it('is narrowed to a family, and to what the codes of a vendor become', async () => {
    const { subgraph } = await start();
    const video = await ask(subgraph, principal({}), CATALOGUE, { family: 'VIDEO' });
    expect(new Set(video.data.eventTypes.map(({ family }: { family: string }) => family))).toEqual(new Set(['VIDEO']));
    const { data } = await ask(subgraph, principal({}), CATALOGUE, { vendor: 'ACME' });
    expect(data.eventTypes).toMatchObject([
      { name: 'alarm.fire', mappings: [{ vendor: 'ACME', vendorCode: 'FIRE', notes: null, tableVersion: 4 }] },
      { name: 'health.offline', mappings: [{ vendor: 'ACME', vendorCode: 'DWN', notes: 'state', tableVersion: 4 }] },
    ]);
    const none = await ask(subgraph, principal({}), CATALOGUE, { family: 'VIDEO', vendor: 'ACME' });
    expect(none.data.eventTypes).toEqual([]);
  });

  it('lists what no table knows, to who sees the whole integration', async () => {
    const { subgraph, seeded, db } = await start();
    const { id: integrationId, org_id: orgId } = seeded.integration;
    await db.write((tx) => countUnknownCodes(tx, seeded.integration, [{ code: 'CHIME', at: NOON }]));
    const ofIntegration = async (who: ReturnType<typeof principal>) => {
      const query = `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Integration {
        unknownCodes { code count firstSeenAt lastSeenAt } } } }`;
      const { data } = await ask(subgraph, who, query, { of: [{ __typename: 'Integration', id: integrationId }] });
      return data._entities[0].unknownCodes;
    };
    const at = new Date(NOON).toISOString();
    const known = [{ code: 'CHIME', count: 1, firstSeenAt: at, lastSeenAt: at }];
    expect(await ofIntegration(principal({ orgIds: [orgId] }))).toEqual(known);
    expect(await ofIntegration(principal({ orgIds: ['org_other'] }))).toEqual([]);
    expect(await ofIntegration(principal({ orgIds: [orgId], siteIds: [seeded.siteId] }))).toEqual([]);
  });

  it('describes events of the log as every format has them', async () => {
    const { subgraph, inbox, processor, seeded } = await start();
    const { id: integrationId, org_id: orgId } = seeded.integration;
    await inbox.append({
      orgId,
      integrationId,
      source: 'WEBHOOK',
      receivedAt: NOON,
      headers: '{}',
      body: acmeBody(
        { id: 'e1', device: 'cam-1', site: 'lobby', state: 'OFFLINE', type: 'health.offline' },
        { id: 'e2', site: 'lobby', family: 'ALARM', type: 'alarm.intrusion', actors: ['person'] },
      ),
    });
    await processor.process(integrationId);
    const formats = EVENT_FORMATS.map((format) => `${format}: as(format: ${format})`).join(' ');
    const { data, errors } = await ask(
      subgraph,
      principal({}),
      `{ events { nodes { id type occurredAt summary ${formats} } } eventTypes { name jsonSchema } }`,
    );
    expect(errors).toEqual([]);
    expect(data.events.nodes).toHaveLength(2);
    const schemas = new Map<string, z.ZodType>(
      data.eventTypes.map((type: { name: string; jsonSchema: Parameters<typeof z.fromJSONSchema>[0] }) => [
        type.name,
        z.fromJSONSchema(type.jsonSchema),
      ]),
    );
    for (const node of data.events.nodes) {
      const { id, type, occurredAt, summary } = node;
      const decoded = EVENT_FORMATS.map((format) => EVENT_CODECS[format].decode(node[format]));
      for (const event of decoded) expect(event).toEqual(decoded[0]);
      expect(decoded[0]).toMatchObject({ id, type, occurredAt, summary, orgId, integrationId, siteId: seeded.siteId });
      expect(schemas.get(type)?.safeParse(decoded[0]).success).toBe(true);
    }
    const [offline] = data.events.nodes.filter(({ type }: { type: string }) => type === 'health.offline');
    expect(EVENT_CODECS.NATIVE.decode(offline.NATIVE)).toMatchObject({
      deviceId: seeded.device('cam-1'),
      status: { state: 'OFFLINE', reason: 'REPORTED' },
      vendorEventId: 'e1',
      origin: 'WEBHOOK',
    });
  });
});
