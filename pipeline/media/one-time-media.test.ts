import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import type { MediaContent, MediaRef } from '../../adapter-kit/model.ts';
import type { Principal } from '../../schema/principal.ts';
import { insertEvents } from '../../storage/event-log.ts';
import { eventRow } from '../../storage/fixtures/event-rows.ts';
import { eachEngine, type OpenTestDatabase } from '../../storage/testing.ts';
import type { IntegrationRuntime } from '../integrations/runtime.ts';
import { acme, NOON, quiet, seed } from '../testing.ts';
import { HELD_BYTES } from './checked-body.ts';
import { createMediaLinks, MEDIA_PATH } from './media-links.ts';
import { createOneTimeMedia, type OpenedMedia } from './one-time-media.ts';

const MINUTE = 60_000;
const JPEG = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(500, 1)]);
const LARGE = Buffer.concat([JPEG, Buffer.alloc(3 * HELD_BYTES, 2)]);
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const never = (): Promise<never> => Promise.reject(new TypeError('not part of this test'));
const still = new AbortController().signal;

function person(over: Partial<Principal> = {}): Principal {
  const access = { orgIds: ['org_a'], siteIds: null };
  return { id: 'ann', kind: 'USER', scopes: new Set(['events:read'] as const), access, expiresAt: null, ...over };
}

/** Gives bytes in parts, and then breaks if it is to. */
function content(bytes: Uint8Array, contentType: string | null = null, failure: Error | null = null) {
  let isClosed = false;
  async function* body(): AsyncGenerator<Uint8Array, void, void> {
    for (let from = 0; from < bytes.length; from += 100_000) yield bytes.subarray(from, from + 100_000);
    if (failure !== null) throw failure;
  }
  const media: MediaContent = {
    contentType,
    body: body(),
    close: async () => {
      isClosed = true;
    },
  };
  return { media, isClosed: () => isClosed };
}

async function read({ body, close }: Pick<OpenedMedia, 'body' | 'close'>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of body) chunks.push(chunk);
  } finally {
    close();
  }
  return Buffer.concat(chunks);
}

eachEngine('one-time links to media', (openDb) => {
  async function world(open: OpenTestDatabase = openDb, sha256: string | null = null) {
    const db = await open();
    const seeded = await seed(db);
    const media = [
      { contentType: 'image/jpeg', url: 'https://cam.example/1.jpg', ...(sha256 === null ? {} : { sha256 }) },
    ];
    const row = eventRow(1, {
      site_id: seeded.siteId,
      device_id: seeded.device('cam-1'),
      inbox_id: null,
      media: JSON.stringify(media),
    });
    await db.write((tx) => insertEvents(db, tx, [row]));
    const clock = { now: NOON };
    const now = () => clock.now;
    const asked: MediaRef[] = [];
    const platform = { answer: async (): Promise<MediaContent> => content(JPEG).media };
    const adapter: Adapter = {
      probe: never,
      listSites: never,
      async *listDevices() {},
      readDevices: never,
      readPlatform: never,
      pageDevices: never,
      openMedia: (ref) => (asked.push(ref), platform.answer()),
      close: () => Promise.resolve(),
    };
    let inUse = 0;
    const runtime: Pick<IntegrationRuntime, 'use'> = {
      async use(_id, work) {
        inUse += 1;
        try {
          return await work({ integration: seeded.integration, vendor: acme, adapter, settings: {} });
        } finally {
          inUse -= 1;
        }
      },
    };
    const links = createMediaLinks({ masterKey: Buffer.alloc(32, 3), publicUrl: new URL('https://cg.example'), now });
    const http = () => {
      throw new TypeError('nothing is opened as it is here');
    };
    const service = createOneTimeMedia({ db, links, runtime, http, logger: quiet, now });
    const link = (maker = person(), lifeMs = 10 * MINUTE, index = 0): string =>
      new URL(links.make(maker, row, index, lifeMs)).pathname.slice(MEDIA_PATH.length);
    const opening = async (token: string, opener: Principal | null = null) => service.open(token, opener, still);
    return { db, row, seeded, clock, asked, platform, service, link, opening, inUse: () => inUse, links };
  }

  it('hand over what the platform has, as a type that does nothing in a browser', async () => {
    const { link, opening, asked, inUse } = await world();
    const opened = await opening(link());
    expect(opened).toMatchObject({ contentType: 'image/jpeg', sizeBytes: JPEG.length });
    expect(opened?.fileName).toMatch(/^event-[0-9a-f]{32}-1\.jpg$/);
    if (opened === undefined) throw new Error('it opens');
    expect(inUse()).toBe(1);
    expect((await read(opened)).equals(JPEG)).toBe(true);
    expect(asked).toMatchObject([
      { url: 'https://cam.example/1.jpg', nativeDeviceId: 'cam-1', contentType: 'image/jpeg' },
    ]);
    await expect.poll(inUse).toBe(0);
  });

  it('open once, and can be looked at before', async () => {
    const { link, opening, service } = await world();
    const token = link();
    expect([await service.look(token, null), await service.look(token, null)]).toEqual(['image/jpeg', 'image/jpeg']);
    expect(await opening(token)).toBeDefined();
    expect([await opening(token), await service.look(token, null)]).toEqual([undefined, undefined]);
    expect(await opening(link())).toBeDefined();
  });

  it('end after their life, and with the token of their maker', async () => {
    const { link, service, clock } = await world();
    const short = link(person({ expiresAt: new Date(NOON + MINUTE) }));
    const long = link();
    clock.now = NOON + MINUTE - 1;
    expect([await service.look(short, null), await service.look(long, null)]).toEqual(['image/jpeg', 'image/jpeg']);
    clock.now = NOON + MINUTE;
    expect([await service.look(short, null), await service.look(long, null)]).toEqual([undefined, 'image/jpeg']);
    clock.now = NOON + 10 * MINUTE;
    expect(await service.open(long, null, still)).toBeUndefined();
  });

  it.each([9_999, 3_600_001])('are not made for %i milliseconds', async (lifeMs) => {
    const { link } = await world();
    expect(() => link(person(), lifeMs)).toThrow('10 seconds to 1 hour');
  });

  it('cannot be forged, altered, or taken from another deployment', async () => {
    const { link, row, clock, service } = await world();
    const token = link();
    const elsewhere = createMediaLinks({
      masterKey: Buffer.alloc(32, 4),
      publicUrl: new URL('https://cg.example'),
      now: () => clock.now,
    });
    const foreign = elsewhere.make(person(), row, 0, MINUTE).split(MEDIA_PATH)[1] ?? '';
    const altered = Array.from(
      token,
      (letter, at) => token.slice(0, at) + (letter === 'A' ? 'B' : 'A') + token.slice(at + 1),
    );
    for (const bad of [foreign, '', 'AAAA', `${token}A`, token.slice(0, -1), ...altered.slice(0, 60)])
      expect(await service.look(bad, null)).toBeUndefined();
    expect(await service.look(link(person(), MINUTE, 1), null)).toBeUndefined();
    expect(token).not.toContain(Buffer.from(row.key).toString('hex').slice(0, 8));
  });

  it('are for what their maker may read, when they are used as well', async () => {
    const { db, link, opening, service, seeded, row } = await world();
    const limited = link(person({ access: { orgIds: ['org_a'], siteIds: [seeded.siteId] } }));
    expect(await service.look(limited, null)).toBe('image/jpeg');
    const whole = link();
    await db.write((tx) =>
      tx.updateTable('events').set({ site_id: seeded.secondSiteId }).where('seq', '=', row.seq).execute(),
    );
    // What is logged never moves: it stands for an event that is not the maker's any more.
    expect(await opening(limited)).toBeUndefined();
    await db.write((tx) => tx.updateTable('events').set({ org_id: 'org_b' }).where('seq', '=', row.seq).execute());
    expect(await opening(whole)).toBeUndefined();
  });

  it('open for nobody but their maker, when somebody says who asks', async () => {
    const { link, service, seeded } = await world();
    const token = link();
    const site = { orgIds: ['org_a'], siteIds: [seeded.secondSiteId] };
    const others = [
      person({ id: 'bob' }),
      person({ kind: 'SERVICE' }),
      person({ scopes: new Set(['inventory:read'] as const) }),
      // The same person, after some of what she could see was taken from her.
      person({ access: site }),
      person({ access: { orgIds: [], siteIds: null } }),
    ];
    for (const other of others) expect(await service.look(token, other)).toBeUndefined();
    expect(await service.look(token, person())).toBe('image/jpeg');
    expect(await service.open(token, person({ access: site }), still)).toBeUndefined();
    expect(await service.open(token, person(), still)).toBeDefined();
  });

  it('are as good as before when the platform fails at once, in the middle, or at the end', async () => {
    const { link, opening, platform, inUse } = await world();
    const token = link();
    platform.answer = () => Promise.reject(new AdapterError('UNREACHABLE', 'down'));
    await expect(opening(token)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    platform.answer = async () => content(JPEG, null, new AdapterError('TIMEOUT', 'too slow')).media;
    await expect(opening(token)).rejects.toMatchObject({ code: 'TIMEOUT' });
    const breaking = content(LARGE, null, new AdapterError('UNREACHABLE', 'cut'));
    platform.answer = async () => breaking.media;
    const opened = await opening(token);
    if (opened === undefined) throw new Error('it opens');
    expect(opened.sizeBytes).toBeNull();
    await expect(read(opened)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect.poll(breaking.isClosed).toBe(true);
    await expect.poll(inUse).toBe(0);
    platform.answer = async () => content(LARGE).media;
    const whole = await opening(token);
    if (whole === undefined) throw new Error('it still opens');
    expect((await read(whole)).equals(LARGE)).toBe(true);
    expect(await opening(token)).toBeUndefined();
  });

  it('are used up by who stops reading', async () => {
    const { link, service, platform } = await world();
    const token = link();
    const large = content(LARGE, null, new AdapterError('TIMEOUT', 'ended with its reader'));
    platform.answer = async () => large.media;
    const reader = new AbortController();
    const opened = await service.open(token, null, reader.signal);
    if (opened === undefined) throw new Error('it opens');
    reader.abort();
    await expect(read(opened)).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect.poll(large.isClosed).toBe(true);
    expect(await service.look(token, null)).toBeUndefined();
  });

  it.each([
    ['a picture', JPEG],
    ['a clip', LARGE],
  ])('never hand over the whole of %s that is not the one of the event', async (_, bytes) => {
    const { link, opening, platform, service } = await world(openDb, hashOf(bytes));
    const other = Buffer.concat([bytes.subarray(0, -1), Buffer.from([9])]);
    platform.answer = async () => content(other).media;
    const token = link();
    const got: Uint8Array[] = [];
    const reading = (async () => {
      const opened = await opening(token);
      for await (const chunk of opened?.body ?? []) got.push(chunk);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'BAD_PAYLOAD' });
    expect(Buffer.concat(got).length).toBeLessThan(bytes.length);
    expect(await service.look(token, null)).toBe('image/jpeg');
    platform.answer = async () => content(bytes).media;
    const opened = await opening(token);
    if (opened === undefined) throw new Error('it opens');
    expect((await read(opened)).equals(bytes)).toBe(true);
  });

  it.each([
    ['a page', Buffer.from('<html><script>'), 'text/html', 'BAD_PAYLOAD'],
    ['a drawing that can hold scripts', Buffer.from('<svg>'), 'image/svg+xml', 'BAD_PAYLOAD'],
    ['nothing', Buffer.alloc(0), 'image/jpeg', 'BAD_PAYLOAD'],
    ['a picture that calls itself a page', JPEG, 'text/html', 'image/jpeg'],
    ['what only its platform knows the type of', Buffer.from('0123456789'), 'video/mp2t; charset=x', 'video/mp2t'],
  ])('let %s leave only as what it is', async (_, bytes, told, type) => {
    const { db, row, link, opening, platform } = await world();
    const media = JSON.stringify([{ url: 'https://cam.example/1' }]);
    await db.write((tx) => tx.updateTable('events').set({ media }).where('seq', '=', row.seq).execute());
    platform.answer = async () => content(bytes, told).media;
    const left = await opening(link()).then(
      (opened) => opened?.contentType ?? null,
      (error: unknown) => (error instanceof AdapterError ? error.code : null),
    );
    expect(left).toBe(type);
  });

  it('are opened a bounded number at a time; the rest may come again', async () => {
    const { link, opening } = await world();
    const open = await Promise.all(Array.from({ length: 64 }, () => opening(link())));
    const token = link();
    await expect(opening(token)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    open[0]?.close();
    open[0]?.close();
    expect(await opening(token)).toBeDefined();
    await expect(opening(link())).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  });
});
