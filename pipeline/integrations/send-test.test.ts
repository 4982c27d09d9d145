import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { SIGNATURE_PROFILES, type SignatureProfile } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import { eventId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { createIntake } from '../intake/intake.ts';
import { createProcessor } from '../process/processor.ts';
import { acme, addSecret, NOON, quiet, seed, testVault } from '../testing.ts';
import type { IntegrationServiceDeps } from './deps.ts';
import { principalOf } from './testing.ts';
import { sendTestWebhook } from './send-test.ts';
import { makeWebhookSecret } from './webhook-secrets.ts';

async function start(db: Database, profile: SignatureProfile = 'CONTRACT_V1') {
  const { integration } = await seed(db, { profile });
  await db.write((tx) => tx.deleteFrom('secrets').execute());
  await addSecret(db, integration.id, makeWebhookSecret(profile), null);
  const clock = { edge: NOON };
  const inbox = createInboxWriter({ db, logger: quiet });
  const intake = createIntake({ db, vault: testVault, inbox, logger: quiet, now: () => clock.edge });
  const processor = createProcessor({ db, vendors: [acme], logger: quiet, now: () => NOON });
  const server = createServer((req, res) => {
    const [, , id = '', rest = ''] = (req.url ?? '').split('/');
    void intake.handle(req, res, id, decodeURIComponent(rest));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await intake.close();
    await inbox.close();
  });
  const { port } = server.address() as AddressInfo;
  let isAway = false;
  const deps = {
    db,
    vault: testVault,
    clock: { now: () => NOON },
    selfTest: {
      async post(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array) {
        if (isAway) throw new Error('nobody there');
        const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
          method: 'POST',
          headers,
          body: Buffer.from(body),
        });
        return { status: answer.status, text: await answer.text() };
      },
      process: (id: string) => processor.process(id),
    },
  } as unknown as IntegrationServiceDeps;
  return {
    clock,
    goAway: () => {
      isAway = true;
    },
    send: (input: object = {}, who = principalOf(['org_a'])) =>
      sendTestWebhook(deps, who, { integrationId: integration.id, ...input }),
  };
}

eachEngine('test delivery', (open) => {
  it.each(SIGNATURE_PROFILES)('goes through the edge into the log, signed as %s', async (profile) => {
    const db = await open();
    const { send } = await start(db, profile);
    const sent = await send();
    expect(sent).toMatchObject({ delivered: true, accepted: true, diagnosis: [], userErrors: [] });
    expect(sent.latencyMs).toBeGreaterThanOrEqual(0);
    const events = await db.read.selectFrom('events').selectAll().execute();
    expect(events).toMatchObject([{ type: 'system.test', device_id: null, site_id: null, occurred_at: NOON }]);
    expect(sent.eventId).toBe(eventId(events[0]!.key));
  });

  it('is of a type that the catalogue has, and changes no device', async () => {
    const db = await open();
    const { send } = await start(db);
    expect(await send({ type: 'health.offline' })).toMatchObject({ accepted: true });
    expect(await send({ type: 'no.such' })).toMatchObject({ accepted: false, userErrors: [{ code: 'INVALID' }] });
    const states = await db.read.selectFrom('devices').select('state').execute();
    expect(states.every(({ state }) => state === 'UNKNOWN')).toBe(true);
  });

  it('says why it was not accepted, and that nobody answered', async () => {
    const db = await open();
    const { send, clock, goAway } = await start(db);
    clock.edge += 600_000;
    expect(await send()).toMatchObject({
      delivered: true,
      accepted: false,
      eventId: null,
      diagnosis: [expect.stringMatching(/^TIMESTAMP_OUT_OF_WINDOW: /)],
    });
    goAway();
    expect(await send()).toMatchObject({ delivered: false, accepted: false, latencyMs: null });
  });

  it('is for who may change the integration, and needs a secret', async () => {
    const db = await open();
    const { send } = await start(db);
    expect(await send({}, principalOf(['org_b']))).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
    expect(await send({}, principalOf(['org_a'], { scopes: new Set(['inventory:read']) }))).toMatchObject({
      userErrors: [{ code: 'FORBIDDEN' }],
    });
    await db.write((tx) => tx.deleteFrom('secrets').execute());
    expect(await send()).toMatchObject({ delivered: false, userErrors: [{ code: 'CONFLICT' }] });
  });
});
