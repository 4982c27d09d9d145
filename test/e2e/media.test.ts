import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pictureBytes } from '../../adapter-kit/simulator-kit/media-bytes.ts';
import { allVendors, eventually, type Json, openSandbox, operation, query } from './rig.ts';

// Pictures and clips of events, from each kind of platform, over the whole product: behind links that open once.

const SLUGS = ['reconeyez', 'vxg', 'vendor-cloud'];
const vendors = allVendors.filter(({ slug }) => SLUGS.includes(slug));
/** A deployment without one of them has nothing to show here. */
const isDeployed = vendors.length === SLUGS.length;

let sandbox: Awaited<ReturnType<typeof openSandbox>>;

beforeAll(async () => {
  if (isDeployed) sandbox = await openSandbox({ vendors, devices: 90 });
});
afterAll(() => sandbox?.close());

function place(slug: string) {
  const [org] = sandbox.credentials.orgs;
  const platform = sandbox.platforms.find(({ org: of, vendor }) => of.key === org?.key && vendor.slug === slug);
  if (org === undefined || platform === undefined) throw new Error(`no ${slug}`);
  return { org, platform, url: platform.simulator.url };
}

async function control(slug: string, path: string, body: unknown): Promise<void> {
  const response = await fetch(`${place(slug).url}/_sim/${path}`, { method: 'POST', body: JSON.stringify(body) });
  expect(response.ok).toBe(true);
}

/** A device of the platform, and what the drill-down says of its newest event with media. */
async function newestMedia(slug: string, nativeId: string, isIt: (event: Json) => boolean, token = 'admin') {
  const { org } = place(slug);
  const filter = { orgId: org.id, externalId: { namespace: `${slug}:device-id`, value: nativeId } };
  const { data } = await query(
    sandbox,
    'query ($filter: DeviceFilter) { devices(first: 1, filter: $filter) { nodes { id } } }',
    { filter },
  );
  const device = data.devices.nodes[0].id;
  return eventually(async () => {
    const answer = await query(sandbox, operation('09-device-drill-down'), { device }, token);
    expect(answer.errors).toBeUndefined();
    const event = answer.data.device.events.nodes.find((each: Json) => each.media.length > 0 && isIt(each));
    return event === undefined ? undefined : { event, media: event.media[0], device: answer.data.device };
  }, `${slug} has told of media`);
}

function firstOf(slug: string, isWanted: (type: string) => boolean = () => true): string {
  const device = place(slug)
    .platform.simulator.devices()
    .find(({ type }) => isWanted(type));
  if (device === undefined) throw new Error(`${slug} has no such device`);
  return device.nativeId;
}

async function open(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init);
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe.runIf(isDeployed)('links to media', () => {
  it('09: open the picture that a delivery brought along, once, with its own hash', async () => {
    const nativeId = firstOf('reconeyez');
    await control('reconeyez', 'events', { nativeId, event: 'PersonDetected', detections: ['person'] });
    const { media, device } = await newestMedia('reconeyez', nativeId, ({ type }) => type === 'alarm.intrusion');
    expect(device.status).toMatchObject({ state: 'ONLINE' });
    expect(new URL(media.url).origin).toBe(new URL(sandbox.credentials.graphqlUrl).origin);

    const looked = await open(media.url, { method: 'HEAD' });
    expect([looked.status, looked.headers.get('content-type'), looked.bytes.length]).toEqual([200, 'image/jpeg', 0]);
    const { status, headers, bytes } = await open(media.url);
    expect([status, sha256(bytes)]).toEqual([200, media.sha256]);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': String(bytes.length),
      'content-disposition': expect.stringMatching(/^inline; filename="event-[0-9a-f]+-1\.jpg"$/),
      'content-security-policy': expect.stringContaining('sandbox'),
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'accept-ranges': 'none',
    });

    const again = await open(media.url);
    expect(again.status).toBe(410);
    expect(again.bytes.toString()).toContain('LINK_GONE');
    expect((await open(media.url, { method: 'HEAD' })).status).toBe(410);
    // Each answer has links of its own.
    expect((await open((await newestMedia('reconeyez', nativeId, () => true)).media.url)).status).toBe(200);
  });

  it('09: stand beside why a camera is red, who says so, and behind what', async () => {
    const { org, platform, url } = place('vendor-cloud');
    const integration = sandbox.credentials.integrations.find(
      ({ orgKey, vendor }) => orgKey === org.key && vendor === platform.vendor.enumValue,
    );
    const { data } = await query(
      sandbox,
      'query ($org: ID!) { devices(first: 200, filter: { orgId: $org, vendors: [VENDOR_CLOUD], types: [CAMERA], states: [ONLINE] }) { nodes { parent { id } externalIds { namespace value } } } }',
      { org: org.id },
    );
    const behind = data.devices.nodes.find(({ parent }: Json) => parent !== null);
    const { value: nativeId } = behind.externalIds.find(
      ({ namespace }: Json) => namespace === 'vendor-cloud:device-id',
    );
    const picture = { event: 'intrusion', image_url: `${url}/media/red.jpg` };
    await control('vendor-cloud', 'events', { nativeId, event_type: 'alarm', data: picture });
    await newestMedia('vendor-cloud', nativeId, () => true);
    await control('vendor-cloud', `devices/${encodeURIComponent(nativeId)}`, { state: 'offline' });
    const red = async (sources: number) =>
      eventually(async () => {
        const { media, device } = await newestMedia('vendor-cloud', nativeId, () => true);
        const { state, evidence } = device.status;
        const agreeing = evidence.filter(({ agrees }: Json) => agrees === true);
        return state === 'OFFLINE' && agreeing.length >= sources ? { media, device } : undefined;
      }, `${sources} sources say that it is offline`);
    await red(1);
    const sync = `mutation ($id: ID!) { syncIntegration(input: { integrationId: $id, idempotencyKey: "red" }) { userErrors { message } } }`;
    await query(sandbox, sync, { id: integration?.id });
    const { media, device } = await red(2);
    expect(device.status).toMatchObject({ state: 'OFFLINE', reason: expect.any(String), since: expect.any(String) });
    expect(new Set(device.status.evidence.map(({ source }: Json) => source)).size).toBeGreaterThan(1);
    expect(device.parent).toMatchObject({ id: behind.parent.id, status: { state: 'ONLINE' } });
    expect(device.statusHistory.nodes.map(({ state }: Json) => state)).toContain('OFFLINE');
    expect((await open(media.url)).status).toBe(200);
    expect((await open(media.url)).status).toBe(410);
  });

  it('open once, however many come at the same time', async () => {
    const nativeId = firstOf('reconeyez');
    const { media } = await newestMedia('reconeyez', nativeId, () => true);
    const all = await Promise.all(Array.from({ length: 6 }, () => open(media.url)));
    expect(all.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 410, 410, 410, 410, 410]);
  });

  it('answer one and the same for what is forged, used, or asked for by somebody else', async () => {
    const nativeId = firstOf('reconeyez');
    const { media } = await newestMedia('reconeyez', nativeId, () => true);
    const forged = media.url.replace(/.{4}$/, (end: string) => (end === 'AAAA' ? 'BBBB' : 'AAAA'));
    const { admin = '', [`${place('reconeyez').org.key}:site`]: other = '' } = sandbox.credentials.tokens;
    const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const refused = [
      await open(forged),
      await open(media.url, as(other)),
      await open(media.url, as('nonsense')),
      await open(`${media.url}A`),
    ];
    const own = await open(media.url, as(admin));
    expect(own.status).toBe(200);
    const texts = [...refused, await open(media.url, as(admin))].map(({ status, bytes, headers }) => {
      const { errors } = JSON.parse(bytes.toString());
      expect(errors[0].extensions.requestId).toBe(headers.get('x-request-id'));
      return JSON.stringify([status, errors[0].message, errors[0].extensions.code]);
    });
    expect(new Set(texts).size).toBe(1);
    expect(texts[0]).toMatch(/^\[410,/);
  });

  it('live only as long as was asked for within bounds', async () => {
    const media = (life: string) =>
      query(
        sandbox,
        `{ events(first: 1, filter: { types: ["alarm.intrusion"] }) { nodes { media { url(expiresIn: "${life}") } } } }`,
      );
    for (const life of ['PT9S', 'PT1H1S']) {
      expect((await media(life)).errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    }
    expect((await media('PT1H')).errors).toBeUndefined();
  });

  it('are not used up by a platform that is down', async () => {
    const nativeId = firstOf('vxg', (type) => type === 'camera');
    await control('vxg', 'events', { nativeId, name: 'motion' });
    const { media } = await newestMedia('vxg', nativeId, () => true);
    await control('vxg', 'outage', { seconds: 600 });
    const down = await open(media.url);
    expect(down.status).toBe(502);
    expect(down.bytes.toString()).toContain('MEDIA_UNAVAILABLE');
    // It says nothing of where the platform is.
    expect(down.bytes.toString()).not.toMatch(/127\.0\.0\.1|storage|api\//);
    await control('vxg', 'outage', { seconds: 0 });
    const up = await open(media.url);
    expect([up.status, up.headers.get('content-type'), up.bytes.length]).toEqual([200, 'video/mp4', 2_500_000]);
    expect(up.headers.get('content-disposition')).toMatch(/^attachment; filename="event-[0-9a-f]+-1\.mp4"$/);
    expect((await open(media.url)).status).toBe(410);
  });

  it('bring our credentials to the platform, and to nobody else', async () => {
    const nativeId = firstOf('vendor-cloud');
    const path = '/media/snapshots/4711.jpg';
    const address = `${place('vendor-cloud').url}${path}`;
    expect((await fetch(address)).status).toBe(401);
    const tell = (data: Json) =>
      control('vendor-cloud', 'events', { nativeId, event_type: 'alarm', data: { event: 'intrusion', ...data } });
    await tell({ image_url: address, zone: 'own' });
    const own = await newestMedia('vendor-cloud', nativeId, ({ type }) => type.startsWith('alarm.'));
    const { status, bytes } = await open(own.media.url);
    expect([status, bytes.equals(pictureBytes(path, 40_000))]).toEqual([200, true]);

    // The same path of another host: it asks for credentials, and gets none.
    await tell({ image_url: `${place('reconeyez').url}${path}` });
    const foreign = await newestMedia('vendor-cloud', nativeId, ({ id }) => id !== own.event.id);
    const refused = await open(foreign.media.url);
    expect([refused.status, JSON.parse(refused.bytes.toString()).errors[0].extensions.code]).toEqual([
      502,
      'MEDIA_UNAVAILABLE',
    ]);
  });
});
