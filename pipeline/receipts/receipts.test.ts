import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { Vendor } from '../../adapter-kit/define-vendor.ts';
import type { SignatureProfile } from '../../schema/words.ts';
import type { Database } from '../../storage/database.ts';
import { eventId } from '../../storage/ids.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createDeadLetters } from '../dead-letters/dead-letters.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { createIntake } from '../intake/intake.ts';
import { createProcessor } from '../process/processor.ts';
import {
  acme,
  type AcmeEvent,
  acmeBody,
  addDevice,
  addSecret,
  NOON,
  quiet,
  SECRET,
  seed,
  signed,
  testVault,
} from '../testing.ts';

/** A vendor's decoder that does not know one word yet. */
const picky: Vendor = {
  ...acme,
  decode(message, context) {
    const text = Buffer.from(message.body).toString();
    if (text.includes('unreadable')) throw new DecodeError('SCHEMA', 'events[0].type is not a known word');
    return acme.decode(message, context);
  },
};

interface Told {
  readonly status: string;
  readonly duplicates: number;
  readonly events: readonly string[];
  readonly [member: string]: unknown;
}

async function start(db: Database, options: { readonly profile?: SignatureProfile } = {}) {
  const seeded = await seed(db, options);
  const clock = { now: NOON };
  const now = () => clock.now;
  const inbox = createInboxWriter({ db, logger: quiet });
  const intake = createIntake({ db, vault: testVault, inbox, logger: quiet, now, vendors: [picky] });
  const processor = createProcessor({ db, vendors: [picky], logger: quiet, now });
  const server = createServer((req, res) => {
    const [path = ''] = (req.url ?? '').split('?');
    const [, , id = '', ...rest] = path.split('/');
    void (req.method === 'GET'
      ? intake.ask(req, res, id, rest.join('/'))
      : intake.handle(req, res, id, rest.join('/')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await intake.close();
    await inbox.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`;
  const { id } = seeded.integration;
  return {
    ...seeded,
    id,
    clock,
    url,
    letters: createDeadLetters({ db, processor }),
    process: () => processor.process(id),
    /** @returns the delivery's id */
    deliver: async (...events: AcmeEvent[]): Promise<string> => {
      const body = acmeBody(...events);
      const answer = await fetch(`${url}/${id}`, {
        method: 'POST',
        body: new Uint8Array(body),
        headers: signed(body, clock.now),
      });
      const { deliveryId } = (await answer.json()) as { deliveryId: string };
      return deliveryId;
    },
    ask: async (query: string, of = id, secret = SECRET) => {
      const full = `${query}&timestamp=${clock.now / 1_000}`;
      const headers = signed(Buffer.from(`receipts?${full}`), clock.now, secret);
      const answer = await fetch(`${url}/${of}/receipts?${full}`, { headers });
      const text = await answer.text();
      const { receipts = [] } = JSON.parse(text) as { receipts?: Told[] };
      return { status: answer.status, text, receipts };
    },
  };
}

eachEngine('sender receipts', (open) => {
  it("say of every event what became of it, by the vendor's own id", async () => {
    const db = await open();
    const { deliver, process, ask, letters, id, integration, siteId } = await start(db);
    await deliver({ id: 'accepted', device: 'cam-1', state: 'ONLINE', at: NOON - 1_000 });
    await deliver({ id: 'twice', device: 'cam-2' }, { id: 'twice', device: 'cam-2' });
    await deliver({ id: 'whole-again', device: 'cam-2' });
    await process();
    await deliver({ id: 'whole-again', device: 'cam-2' });
    await deliver({ id: 'late', device: 'cam-1', state: 'OFFLINE', at: NOON - 60_000 });
    await deliver({ id: 'unbound', device: 'cam-1', site: 'attic' });
    await deliver({ id: 'strange', type: 'unreadable' });
    await deliver({ id: 'mended', device: 'cam-9' });
    await process();
    await addDevice(db, integration, 'cam-9', siteId);
    await letters.replay(id, { stages: ['MAPPING'] });
    await deliver({ id: 'waits', device: 'cam-1' });

    const ids = [
      'accepted',
      'twice',
      'whole-again',
      'late',
      'unbound',
      'strange',
      'mended',
      'waits',
      'never',
      'cam-1x',
    ];
    const { receipts } = await ask(ids.map((each) => `eventId=${each}`).join('&'));
    expect(receipts.map(({ eventId: of, status }) => [of, status])).toEqual([
      ['accepted', 'ACCEPTED'],
      ['twice', 'DUPLICATE'],
      ['whole-again', 'DUPLICATE'],
      ['late', 'LATE'],
      ['unbound', 'QUARANTINED'],
      ['strange', 'QUARANTINED'],
      ['mended', 'REPLAYED'],
      ['waits', 'PENDING'],
      ['never', 'UNKNOWN'],
      ['cam-1x', 'UNKNOWN'],
    ]);
    expect(receipts[1]).toMatchObject({ duplicates: 1, late: false });
    expect(receipts[2]).toMatchObject({ duplicates: 1 });
    expect(receipts[4]).toMatchObject({
      stage: 'BINDING',
      reason: 'vendor site "attic" is not bound to a site',
      diagnosis: [expect.stringContaining('Bind vendor site "attic"')],
      events: [],
      receivedAt: new Date(NOON).toISOString(),
    });
    expect(receipts[5]).toMatchObject({ stage: 'SCHEMA', reason: 'events[0].type is not a known word' });
    const [event] = await db.read.selectFrom('events').select('key').where('vendor_event_id', '=', 'mended').execute();
    expect(receipts[6]).toMatchObject({ replayed: true, events: [eventId(event!.key)], stage: null });
  });

  it('say the same by the id of a delivery, with all events that it brought', async () => {
    const db = await open();
    const { deliver, process, ask } = await start(db);
    const several = await deliver({ id: 'e1', device: 'cam-1' }, { id: null, device: 'cam-2', type: 'health.told' });
    const dead = await deliver({ id: 'e2', device: 'cam-1', site: 'attic' });
    await process();
    await deliver({ id: 'e1', device: 'cam-1' }, { id: null, device: 'cam-2', type: 'health.told' });
    const waiting = await deliver({ id: 'e3', device: 'cam-1' });
    const query = [several, dead, waiting, `dlv_${'0'.repeat(32)}`, 'nonsense'].map((each) => `deliveryId=${each}`);
    const { receipts } = await ask(query.join('&'));
    expect(receipts).toMatchObject([
      {
        deliveryId: several,
        status: 'DUPLICATE',
        duplicates: 1,
        events: [/evt_/, /evt_/].map((id) => expect.stringMatching(id)),
      },
      { deliveryId: dead, status: 'QUARANTINED', stage: 'BINDING' },
      { deliveryId: waiting, status: 'PENDING', events: [] },
      { status: 'UNKNOWN' },
      { deliveryId: 'nonsense', status: 'UNKNOWN' },
    ]);
    expect(new Set(receipts[0]?.events).size).toBe(2);
  });

  it('find a delivery among many by when it came', async () => {
    const db = await open();
    const { deliver, process, ask, clock } = await start(db);
    const ids: string[] = [];
    for (let hour = 0; hour < 40; hour++) {
      clock.now += 60_000;
      ids.push(await deliver({ id: `e${hour}`, device: 'cam-1', at: clock.now }));
    }
    await process();
    for (const id of [ids[0], ids[17], ids[39]]) {
      expect((await ask(`deliveryId=${id}`)).receipts).toMatchObject([
        { status: 'ACCEPTED', events: [expect.any(String)] },
      ]);
    }
  });

  it('are of the integration that asks and of no other', async () => {
    const db = await open();
    const { deliver, process, ask } = await start(db);
    const own = await deliver({ id: 'e1', device: 'cam-1' });
    const dead = await deliver({ id: 'e2', device: 'cam-1', site: 'attic' });
    await process();
    await seed(db, { name: 'b' });
    await addSecret(db, 'int_b', 'the secret of somebody else', null, 'secret_b2');
    const query = `eventId=e1&eventId=e2&deliveryId=${own}&deliveryId=${dead}`;
    const { receipts } = await ask(query, 'int_b', 'the secret of somebody else');
    expect(receipts.map(({ status }) => status)).toEqual(['UNKNOWN', 'UNKNOWN', 'UNKNOWN', 'UNKNOWN']);
  });

  it("are refused to an unknown integration, a wrong secret and a delivery's signature with the same bytes", async () => {
    const db = await open();
    const { ask, url, id, clock } = await start(db);
    const query = `eventId=e1&timestamp=${clock.now / 1_000}`;
    const replayed = await fetch(`${url}/${id}/receipts?${query}`, { headers: signed(acmeBody(), clock.now) });
    const answers = [
      await ask('eventId=e1', 'int_unknown'),
      await ask('eventId=e1', id, 'another secret of decent length'),
      { status: replayed.status, text: await replayed.text() },
    ];
    for (const { status } of answers) expect(status).toBe(401);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  });

  it('are refused for a question that was overheard, once its time is over', async () => {
    const db = await open();
    const { url, id, clock } = await start(db);
    const query = `eventId=e1&timestamp=${clock.now / 1_000}`;
    const ask = async (text: string) => {
      const headers = {
        ...signed(Buffer.from(`receipts?${query}`), NOON),
        'x-webhook-timestamp': String(clock.now / 1_000),
      };
      return (await fetch(`${url}/${id}/receipts?${text}`, { headers })).status;
    };
    expect(await ask(query)).toBe(200);
    expect(await ask(query.replace('e1', 'e2'))).toBe(401);
    clock.now += 301_000;
    expect(await ask(query)).toBe(401);
  });

  it('are told to who knows the path, where the path is the proof', async () => {
    const db = await open();
    const { url, id } = await start(db, { profile: 'PATH_SECRET' });
    await addSecret(db, id, 'path-secret-of-decent-length', null, 'secret_path');
    const ask = async (path: string) => (await fetch(`${url}/${id}/${path}?eventId=e1`)).status;
    expect(await ask('path-secret-of-decent-length/receipts')).toBe(200);
    expect(await ask('guessed/receipts')).toBe(401);
    expect(await ask('receipts')).toBe(401);
  });

  it('take the signature of Standard Webhooks', async () => {
    const db = await open();
    const { url, id, clock } = await start(db, { profile: 'STANDARD_WEBHOOKS' });
    const key = Buffer.alloc(32, 3);
    await addSecret(db, id, `whsec_${key.toString('base64')}`, null, 'secret_standard');
    const seconds = String(clock.now / 1_000);
    const mac = createHmac('sha256', key).update(`q_1.${seconds}.receipts?eventId=e1`).digest('base64');
    const headers = { 'webhook-id': 'q_1', 'webhook-timestamp': seconds, 'webhook-signature': `v1,${mac}` };
    expect((await fetch(`${url}/${id}/receipts?eventId=e1`, { headers })).status).toBe(200);
  });

  it.each([
    ['nothing', '', /Name what you ask for/],
    ['51 events', Array.from({ length: 51 }, (_, i) => `eventId=${i}`).join('&'), /At most 50 eventId/],
    ['11 deliveries', Array.from({ length: 11 }, (_, i) => `deliveryId=${i}`).join('&'), /At most 10 deliveryId/],
    ['an empty id', 'eventId=', /1 to 200 characters/],
  ])('refuse a question for %s', async (_, query, said) => {
    const db = await open();
    const { ask } = await start(db);
    const answer = await ask(query);
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(said);
  });

  it('are told ten times a second', async () => {
    const db = await open();
    const { ask, clock } = await start(db);
    for (let i = 0; i < 10; i++) expect((await ask('eventId=e1')).status).toBe(200);
    expect((await ask('eventId=e1')).status).toBe(429);
    clock.now += 1_000;
    expect((await ask('eventId=e1')).status).toBe(200);
  });
});
