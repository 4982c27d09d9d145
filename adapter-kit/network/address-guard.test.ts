import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { AdapterError } from '../adapter-error.ts';
import { createHttpClientFactory } from '../http/create-http-client.ts';
import { createAddressGuard, isNetwork, type ResolveName } from './address-guard.ts';

const closed = { allow: [], allowHttp: true };

const REFUSED = [
  '127.0.0.1',
  '127.255.255.254',
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '169.254.0.1',
  '169.254.169.254',
  '169.254.170.2',
  '100.64.0.1',
  '100.127.255.255',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.1',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.7',
  '203.0.113.9',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::10.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '::ffff:8.8.8.8',
  '::ffff:169.254.169.254',
  '64:ff9b::7f00:1',
  '64:ff9b::10.0.0.1',
  '64:ff9b:1::1',
  '100::1',
  '2001::1',
  '2001:0:4136:e378:8000:63bf:3fff:fdd2',
  '2001:db8::1',
  '2001:2::1',
  '2001:10::1',
  '2002:7f00:1::',
  '2002:a00:1::',
  '3fff::1',
  '4000::1',
  '5f00::1',
  'fc00::1',
  'fd00:ec2::254',
  'fd12:3456::1',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  'not-an-address',
  '',
];

const OPEN = [
  '8.8.8.8',
  '1.1.1.1',
  '172.15.255.255',
  '172.32.0.1',
  '100.63.255.255',
  '100.128.0.1',
  '2606:4700::1111',
  '2a00:1450::1',
];

describe('address guard', () => {
  it.each(REFUSED)('refuses %s', (address) => {
    expect(() => createAddressGuard(closed).checkAddress(address)).toThrow(AdapterError);
  });

  it.each(OPEN)('lets %s through', (address) => {
    expect(() => createAddressGuard(closed).checkAddress(address)).not.toThrow();
  });

  it.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://017700000001/',
    'http://0177.0.0.1/',
    'http://0x7f.1/',
    'http://127.1/',
    'http://127.0.1/',
    'http://①②⑦.⓪.⓪.①/',
    'http://%31%32%37.0.0.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://2852039166/',
    'http://0/',
    'http://[::]/',
    'http://169.254.169.254./',
  ])('refuses the URL %s', (url) => {
    expect(() => createAddressGuard(closed).checkUrl(new URL(url))).toThrow(
      expect.objectContaining({ code: 'BLOCKED_ADDRESS' }),
    );
  });

  it.each(['ftp://example.com/', 'file:///etc/passwd', 'https://example.com:22/', 'https://example.com:6379/'])(
    'refuses scheme or port of %s',
    (url) => {
      expect(() => createAddressGuard(closed).checkUrl(new URL(url))).toThrow(
        expect.objectContaining({ code: 'BLOCKED_ADDRESS' }),
      );
    },
  );

  it('refuses http unless it is allowed', () => {
    const guard = createAddressGuard({ allow: [], allowHttp: false });
    expect(() => guard.checkUrl(new URL('http://example.com/'))).toThrow(/http is not allowed/);
    expect(() => guard.checkUrl(new URL('https://example.com/'))).not.toThrow();
  });

  it('refuses credentials in the URL', () => {
    const guard = createAddressGuard(closed);
    expect(() => guard.checkUrl(new URL('https://user:pass@example.com/'))).toThrow(
      expect.objectContaining({ code: 'MISCONFIGURED' }),
    );
  });

  it.each([
    ['10.1.2.3', 'private'],
    ['::127.0.0.1', 'IPv4-compatible'],
    ['::ffff:8.8.8.8', 'IPv4-mapped'],
    ['2001:0:4136:e378::1', 'Teredo'],
    ['2002:7f00:1::', '6to4'],
    ['64:ff9b::7f00:1', 'NAT64'],
    ['4000::1', 'not global unicast'],
  ])('says of %s that it is closed as %s', (address, what) => {
    expect(() => createAddressGuard(closed).checkAddress(address)).toThrow(what);
  });

  it.each([{ all: true }, { all: false }, { family: 4 }])(
    'looks at every answer of a name with %j',
    async (options) => {
      const resolve: ResolveName = (_, __, done) =>
        done(null, [
          { address: '8.8.8.8', family: 4 },
          { address: '10.0.0.1', family: 4 },
        ]);
      const { promise, resolve: answered } = Promise.withResolvers<Error | null>();
      createAddressGuard(closed, resolve).lookup('mixed.test', options, (error) => answered(error));
      expect(await promise).toMatchObject({ code: 'BLOCKED_ADDRESS' });
    },
  );

  it('opens exactly the networks of its policy', () => {
    const guard = createAddressGuard({ allow: ['10.20.0.0/16', 'fd12:3456::/32'], allowHttp: false });
    for (const address of ['10.20.0.1', '::ffff:10.20.3.4', 'fd12:3456::7']) guard.checkAddress(address);
    for (const address of [
      '10.21.0.1',
      '127.0.0.1',
      '::ffff:10.21.0.1',
      'fd13::1',
      '64:ff9b::10.20.0.1',
      '::10.20.0.1',
      '::a14:1',
    ])
      expect(() => guard.checkAddress(address)).toThrow(AdapterError);
  });

  it('opens a metadata service only to a rule that names it', () => {
    const wide = createAddressGuard({ allow: ['169.254.0.0/16', 'fd00::/8', '0.0.0.0/0'], allowHttp: true });
    for (const address of ['169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254'])
      expect(() => wide.checkAddress(address)).toThrow(/metadata/);
    const exact = createAddressGuard({ allow: ['169.254.169.254/32'], allowHttp: true });
    expect(() => exact.checkAddress('169.254.169.254')).not.toThrow();
  });

  it.each(['10.0.0.1', '10.0.0.1/8', '10/8', '0x0a.0.0.0/8', '10.0.0.0/33', '::ffff:10.0.0.0/104', 'all', ''])(
    'refuses the rule "%s"',
    (rule) => {
      expect(isNetwork(rule)).toBe(false);
      expect(() => createAddressGuard({ allow: [rule], allowHttp: false })).toThrow(TypeError);
    },
  );
});

describe('HTTP client behind the guard', () => {
  const stop: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of stop.splice(0)) await close();
  });

  async function secretServer(): Promise<{ port: number; calls: () => number }> {
    let calls = 0;
    const server = createServer((_, response) => {
      calls += 1;
      response.end('secret');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stop.push(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return { port: address.port, calls: () => calls };
  }

  function get(baseUrl: string, allow: readonly string[], resolve?: ResolveName): Promise<unknown> {
    const factory = createHttpClientFactory({
      network: { allow, allowHttp: true },
      logger: pino({ level: 'silent' }),
      now: () => new Date(),
      random: () => 0,
      ...(resolve === undefined ? {} : { resolve }),
    });
    const http = factory({ baseUrl: new URL(baseUrl), retries: 0 });
    stop.push(() => http.close());
    return http.request({ path: '/', signal: new AbortController().signal });
  }

  const answering =
    (...answers: LookupAddress[][]): ResolveName =>
    (_, __, done) =>
      process.nextTick(done, null, answers.length > 1 ? (answers.shift() ?? []) : (answers[0] ?? []));
  const local: LookupAddress = { address: '127.0.0.1', family: 4 };
  const open: LookupAddress = { address: '8.8.8.8', family: 4 };

  it('never reaches a closed address by its literal', async () => {
    const { port, calls } = await secretServer();
    for (const host of ['127.0.0.1', '2130706433', '[::ffff:127.0.0.1]'])
      expect(() => get(`http://${host}:${port}`, [])).toThrow(expect.objectContaining({ code: 'BLOCKED_ADDRESS' }));
    expect(calls()).toBe(0);
  });

  it.each([
    ['answers a closed address', [local]],
    ['answers a closed address beside an open one', [open, local]],
    ['answers a closed address as IPv4-mapped', [{ address: '::ffff:127.0.0.1', family: 6 }]],
    ['answers nothing', []],
    ['answers more addresses than anybody has', Array.from({ length: 65 }, () => open)],
  ])('refuses a name that %s', async (_, answer) => {
    const { port, calls } = await secretServer();
    await expect(get(`http://rebind.test:${port}`, [], answering(answer))).rejects.toMatchObject({
      code: 'BLOCKED_ADDRESS',
      retryable: false,
    });
    expect(calls()).toBe(0);
  });

  it('looks a name up once per connection and connects to what was checked', async () => {
    const { port, calls } = await secretServer();
    let lookups = 0;
    const resolve: ResolveName = (_, __, done) => {
      lookups += 1;
      // A second lookup, were there one, would lead elsewhere: 127.0.0.2 has no listener.
      done(null, [lookups === 1 ? local : { address: '127.0.0.2', family: 4 }]);
    };
    await expect(get(`http://rebind.test:${port}`, ['127.0.0.0/8'], resolve)).resolves.toMatchObject({ status: 200 });
    expect([lookups, calls()]).toEqual([1, 1]);
  });

  it('refuses a name of this machine by the real resolver', async () => {
    const { port, calls } = await secretServer();
    await expect(get(`http://localhost:${port}`, [])).rejects.toMatchObject({ code: 'BLOCKED_ADDRESS' });
    expect(calls()).toBe(0);
  });
});
