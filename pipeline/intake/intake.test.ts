import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import type { Database } from '../../storage/database.ts';
import { eachEngine } from '../../storage/testing.ts';
import { createInboxWriter } from '../inbox/inbox-writer.ts';
import { acmeBody, addSecret, NOON, quiet, SECRET, seed, signed, testVault, until } from '../testing.ts';
import { createIntake, DEFAULT_MAX_BODY_BYTES, type IntakeDeps } from './intake.ts';
import { MAX_REFUSED_LETTERS } from './refusals.ts';

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

async function startIntake(db: Database, options: Partial<IntakeDeps> = {}) {
  const clock = { now: NOON };
  const inbox = createInboxWriter({ db, logger: quiet });
  const intake = createIntake({ db, vault: testVault, inbox, logger: quiet, now: () => clock.now, ...options });
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
  function post(id: string, headers: Record<string, string>, body: Uint8Array): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const req = request({ port, host: '127.0.0.1', method: 'POST', path: `/webhooks/${id}`, headers }, (res) => {
        let text = '';
        res.setEncoding('utf8');
        res.on('data', (chunk: string) => (text += chunk));
        res.on('end', () => {
          const retryAfter = res.headers['retry-after'];
          resolve({ status: res.statusCode ?? 0, body: JSON.parse(text), text, retryAfter });
        });
      });
      req.on('error', reject);
      req.end(body);
    });
  }
  return { post, clock, intake };
}

async function rowsOf(db: Database) {
  return db.read.selectFrom('inbox').selectAll().orderBy('id').execute();
}

eachEngine('webhook intake', (open) => {
  it('answers 202 when the delivery is on disk, and 200 with the same id for the same delivery', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const body = acmeBody({ id: 'e1', device: 'cam-1', state: 'OFFLINE' });
    const first = await post(integration.id, signed(body, NOON), body);
    expect(first).toMatchObject({ status: 202, body: { accepted: true } });
    const [row] = await rowsOf(db);
    expect(Buffer.from(row!.body)).toEqual(body);
    expect(row).toMatchObject({ status: 'PENDING', org_id: 'org_a', source: 'WEBHOOK', received_at: NOON });
    const again = await post(integration.id, signed(body, NOON), body);
    expect(again).toMatchObject({ status: 200, body: { accepted: true, duplicate: true } });
    expect(again.body['deliveryId']).toBe(first.body['deliveryId']);
    expect(await rowsOf(db)).toHaveLength(1);
  });

  it('stores one delivery that is sent fifty times at once, and counts the other forty-nine', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const body = acmeBody({ id: 'e1', device: 'cam-1', state: 'OFFLINE' });
    const answers = await Promise.all(Array.from({ length: 50 }, () => post(integration.id, signed(body, NOON), body)));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(49);
    expect(await rowsOf(db)).toHaveLength(1);
    const counters = await db.read.selectFrom('integration_counters').selectAll().execute();
    expect(counters).toMatchObject([{ duplicates: 49, rejected: 0 }]);
  });

  it('keeps no signature and no credential in the stored headers', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const body = acmeBody();
    const secret = {
      authorization: 'Bearer hidden',
      cookie: 'hidden=1',
      'x-api-key': 'hidden',
      'x-access-token': 'hidden',
    };
    await post(integration.id, { ...signed(body, NOON), ...secret, 'user-agent': 'acme/1' }, body);
    const [row] = await rowsOf(db);
    expect(JSON.parse(row!.headers)).toEqual({
      'content-type': 'application/json',
      'x-webhook-timestamp': String(NOON / 1_000),
      'user-agent': 'acme/1',
    });
  });

  it('answers an unknown integration and a wrong signature with the same bytes', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const body = acmeBody({ id: 'e1' });
    const answers = [
      await post('int_unknown', signed(body, NOON), body),
      await post(integration.id, signed(body, NOON, 'another secret of decent length'), body),
      await post(integration.id, { 'content-type': 'application/json' }, body),
      await post(integration.id, signed(acmeBody({ id: 'e2' }), NOON), body),
      await post('..%2f', signed(body, NOON), body),
    ];
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    for (const { status, body: said } of answers) {
      expect({ status, said }).toMatchObject({ status: 401, said: { error: { code: 'UNAUTHENTICATED' } } });
    }
    expect((await rowsOf(db)).filter(({ status }) => status !== 'REFUSED')).toEqual([]);
  });

  it.each([
    [-301, 401, { error: { code: 'TIMESTAMP_OUT_OF_WINDOW' } }],
    [-299, 202, { accepted: true }],
    [299, 202, { accepted: true }],
    [301, 401, { error: { code: 'TIMESTAMP_OUT_OF_WINDOW' } }],
  ])('judges a timestamp %i seconds from our clock with %i', async (offset, status, said) => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const body = acmeBody({ id: 'e1' });
    const answer = await post(integration.id, signed(body, NOON + offset * 1_000), body);
    expect(answer).toMatchObject({ status, body: said });
  });

  it('takes the old secret until its end and not a second longer, without a restart', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const old = 'the secret that is being replaced';
    await addSecret(db, integration.id, old, NOON + 10_000);
    const { post, clock } = await startIntake(db);
    const send = (id: string, secret?: string) => {
      const body = acmeBody({ id });
      return post(integration.id, signed(body, clock.now, secret), body);
    };
    expect((await send('1', old)).status).toBe(202);
    expect((await send('2')).status).toBe(202);
    clock.now += 11_000;
    expect((await send('3', old)).status).toBe(401);
    expect((await send('4')).status).toBe(202);
  });

  it('stops taking a revoked secret as soon as the doorbell rings', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const body = acmeBody({ id: 'e1' });
    expect((await post(integration.id, signed(body, NOON), body)).status).toBe(202);
    await db.write((tx) => tx.deleteFrom('secrets').where('integration_id', '=', integration.id).execute());
    db.doorbell.ring(`integration:${integration.id}`);
    expect((await post(integration.id, signed(body, NOON), body)).status).toBe(401);
  });

  it('notes which secret was used', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const body = acmeBody({ id: 'e1' });
    await post(integration.id, signed(body, NOON), body);
    const used = () => db.read.selectFrom('secrets').select('last_used_at').executeTakeFirstOrThrow();
    await until(async () => (await used()).last_used_at !== null);
    expect(await used()).toEqual({ last_used_at: NOON });
  });

  it('takes a body of exactly the limit and refuses one byte more', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const fits = Buffer.alloc(DEFAULT_MAX_BODY_BYTES, 'x');
    expect((await post(integration.id, signed(fits, NOON), fits)).status).toBe(202);
    const tooLarge = Buffer.alloc(DEFAULT_MAX_BODY_BYTES + 1, 'x');
    const refused = await post(integration.id, signed(tooLarge, NOON), tooLarge);
    expect(refused).toMatchObject({ status: 413, body: { error: { code: 'PAYLOAD_TOO_LARGE' } } });
    expect(await rowsOf(db)).toHaveLength(1);
  });

  it('refuses a body that grows beyond the limit without having said its length', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const tooLarge = Buffer.alloc(DEFAULT_MAX_BODY_BYTES + 1, 'x');
    const headers = { ...signed(tooLarge, NOON), 'transfer-encoding': 'chunked' };
    expect((await post(integration.id, headers, tooLarge)).status).toBe(413);
  });

  it('takes larger bodies of a vendor that needs them, and only from who knows the secret in the path', async () => {
    const db = await open();
    const { integration } = await seed(db, { profile: 'PATH_SECRET' });
    const largeBodies = new Map([['acme', 1_024 * 1_024]]);
    const { post } = await startIntake(db, { largeBodies });
    const large = (bytes: number) => Buffer.alloc(bytes, 'x');
    const proven = `${integration.id}/${encodeURIComponent(SECRET)}`;
    expect((await post(proven, {}, large(1_024 * 1_024))).status).toBe(202);
    expect((await post(proven, { 'transfer-encoding': 'chunked' }, large(500_000))).status).toBe(202);
    expect((await post(proven, {}, large(1_024 * 1_024 + 1))).status).toBe(413);
    expect((await post(`${integration.id}/guessed`, {}, large(300_000))).status).toBe(413);
    expect((await post('int_unknown/guessed', {}, large(300_000))).status).toBe(413);
    const other = await startIntake(db, { largeBodies: new Map([['other', 1_024 * 1_024]]) });
    expect((await other.post(proven, {}, large(300_000))).status).toBe(413);
  });

  it('refuses compressed bodies', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    const body = gzipSync(acmeBody({ id: 'e1' }));
    const refused = await post(integration.id, { ...signed(body, NOON), 'content-encoding': 'gzip' }, body);
    expect(refused).toMatchObject({ status: 415, body: { error: { code: 'UNSUPPORTED_ENCODING' } } });
  });

  it('takes what it cannot read once it is signed: finding out is for later', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post } = await startIntake(db);
    for (const body of [Buffer.from([0xff, 0xfe, 0x00]), Buffer.from('['.repeat(100_000)), Buffer.alloc(0)]) {
      expect((await post(integration.id, signed(body, NOON), body)).status).toBe(202);
    }
  });

  it('tells a sender that signs well, and nobody else, that the integration is switched off', async () => {
    const db = await open();
    const { integration } = await seed(db);
    await db.write((tx) => tx.updateTable('integrations').set({ enabled: 0 }).execute());
    const { post } = await startIntake(db);
    const body = acmeBody({ id: 'e1' });
    expect(await post(integration.id, signed(body, NOON), body)).toMatchObject({
      status: 403,
      body: { error: { code: 'INTEGRATION_DISABLED' } },
    });
    expect((await post(integration.id, signed(body, NOON, 'x'.repeat(24)), body)).status).toBe(401);
  });

  it('answers 503 with Retry-After when more waits to be processed than may', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post, clock } = await startIntake(db, { maxBacklog: 2 });
    const send = (id: string) => {
      const body = acmeBody({ id });
      return post(integration.id, signed(body, clock.now), body);
    };
    await send('1');
    await send('2');
    clock.now += 10_000;
    // The first delivery of a new measurement is let through while it is counted.
    await until(async () => (await send('3')).status === 503);
    expect(await send('4')).toMatchObject({ status: 503, retryAfter: '5', body: { error: { code: 'OVERLOADED' } } });
  });

  it('answers 503 with Retry-After above the rate of one integration, and the others go on', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const other = await seed(db, { name: 'b' });
    const { post, clock } = await startIntake(db, { maxPerSecond: 2 });
    const send = (to: string, id: string) => {
      const body = acmeBody({ id });
      return post(to, signed(body, clock.now), body);
    };
    await send(integration.id, '1');
    await send(integration.id, '2');
    expect(await send(integration.id, '3')).toMatchObject({
      status: 503,
      retryAfter: '1',
      body: { error: { code: 'RATE_LIMITED' } },
    });
    expect((await send(other.integration.id, '1')).status).toBe(202);
    clock.now += 1_000;
    expect((await send(integration.id, '3')).status).toBe(202);
  });

  it('answers 503 while the store refuses, and stores again when it recovers', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const broken: Database = { ...db, read: db.read, write: () => Promise.reject(new Error('disk full')) };
    const { post } = await startIntake(db, { inbox: createInboxWriter({ db: broken, logger: quiet }) });
    const body = acmeBody({ id: 'e1' });
    expect(await post(integration.id, signed(body, NOON), body)).toMatchObject({
      status: 503,
      retryAfter: '5',
      body: { error: { code: 'UNAVAILABLE' } },
    });
    expect(await rowsOf(db)).toEqual([]);
  });

  it('counts every refusal and keeps the newest few, without their signatures', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post, intake } = await startIntake(db);
    const count = MAX_REFUSED_LETTERS + 10;
    for (let i = 0; i < count; i++) {
      const body = Buffer.alloc(2_000, String(i % 10));
      await post(integration.id, signed(body, NOON, 'x'.repeat(24)), body);
      if (i % 25 === 0) await intake.close();
    }
    await intake.close();
    const letters = await rowsOf(db);
    expect(letters).toHaveLength(MAX_REFUSED_LETTERS);
    expect(letters[0]).toMatchObject({ status: 'REFUSED', stage: 'SIGNATURE' });
    expect(letters.every(({ body, headers }) => body.byteLength <= 1_024 && !headers.includes('sha256='))).toBe(true);
    const [counter] = await db.read.selectFrom('integration_counters').selectAll().execute();
    expect(counter).toMatchObject({ rejected: count });
  });

  const diagnosesOf = async (db: Database) =>
    (await rowsOf(db)).map(({ diagnosis }) => (diagnosis === null ? null : JSON.parse(diagnosis)));

  it('finds out why it refused a signature, and answers as if it had not', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post, intake } = await startIntake(db);
    const body = acmeBody({ id: 'e1', device: 'cam-1' });
    const pretty = Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 2));
    const explained = await post(integration.id, signed(pretty, NOON), body);
    const unknown = await post('int_unknown', signed(pretty, NOON), body);
    expect(explained).toEqual(unknown);
    await intake.close();
    expect(await diagnosesOf(db)).toEqual([[expect.stringMatching(/but for one thing.*indent of two spaces/)]]);
  });

  it('knows the secret of another integration of the same org, and none of another org', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const stranger = await seed(db, { name: 'b' });
    await addSecret(db, stranger.integration.id, 'a secret of some other customer', null, 'secret_b2');
    const sibling = { ...integration, id: 'int_sibling' };
    await db.write((tx) => tx.insertInto('integrations').values(sibling).execute());
    await addSecret(db, sibling.id, 'a secret of the integration beside it', null, 'secret_sibling');
    const { post, intake } = await startIntake(db);
    const body = acmeBody({ id: 'e1' });
    await post(integration.id, signed(body, NOON, 'a secret of the integration beside it'), body);
    await intake.close();
    await post(integration.id, signed(body, NOON, 'a secret of some other customer'), body);
    await intake.close();
    const [first, second] = await diagnosesOf(db);
    expect(first).toEqual([expect.stringContaining('secret of another integration (int_sibling)')]);
    expect(second).toEqual([expect.stringContaining('No usual mistake')]);
  });

  it('examines ten refusals of an integration in a minute, and the next ones in the next', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const other = await seed(db, { name: 'b' });
    const { post, intake, clock } = await startIntake(db);
    const refuse = async (id: string, count: number) => {
      for (let i = 0; i < count; i++) await post(id, signed(acmeBody(), clock.now, 'x'.repeat(24)), acmeBody());
    };
    const examined = async () => {
      await intake.close();
      return (await diagnosesOf(db)).filter((said) => said !== null).length;
    };
    await refuse(integration.id, 13);
    expect(await examined()).toBe(10);
    await refuse(other.integration.id, 1);
    expect(await examined()).toBe(11);
    clock.now += 60_000;
    await refuse(integration.id, 1);
    expect(await examined()).toBe(12);
  });

  it('keeps what it refused when it cannot be examined', async () => {
    const db = await open();
    const { integration } = await seed(db);
    const { post, intake } = await startIntake(db);
    await db.write((tx) =>
      tx
        .updateTable('secrets')
        .set({ sealed: Buffer.from('not sealed') })
        .execute(),
    );
    db.doorbell.ring(`integration:${integration.id}`);
    await post(integration.id, signed(acmeBody(), NOON, 'x'.repeat(24)), acmeBody());
    await intake.close();
    expect(await diagnosesOf(db)).toEqual([[expect.any(String)]]);
  });
});
