import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import { pictureBytes } from '../../adapter-kit/simulator-kit/media-bytes.ts';
import { connect, control, jwtOf, never, simulate } from './fixtures/rig.ts';
import type { VendorCloudSimulator } from './simulator.ts';

let simulator: VendorCloudSimulator;
let adapter: Adapter;
/** What another host was sent. */
const sent: (string | undefined)[] = [];
const elsewhere = createServer((request, response) => {
  sent.push(request.headers.authorization);
  response.end(pictureBytes('elsewhere', 100));
});
let foreign = '';

beforeAll(async () => {
  simulator = await simulate({ devices: 5, sites: 1 });
  adapter = connect(simulator, jwtOf(simulator));
  elsewhere.listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  const address = elsewhere.address() as AddressInfo;
  foreign = `http://127.0.0.1:${address.port}`;
});
afterAll(async () => {
  elsewhere.close();
  elsewhere.closeAllConnections();
  await adapter.close();
  await simulator.close();
});

async function open(url: string): Promise<{ contentType: string | null; bytes: Buffer }> {
  const media = { url, contentType: 'image/*', sha256: null, occurredAt: new Date(), nativeDeviceId: null };
  const opened = await adapter.openMedia?.({ ...media, delivery: () => Promise.resolve(null) }, never());
  if (opened === undefined) throw new Error('the vendor opens media');
  const chunks: Uint8Array[] = [];
  for await (const chunk of opened.body) chunks.push(chunk);
  return { contentType: opened.contentType, bytes: Buffer.concat(chunks) };
}

describe("a vendor's picture", () => {
  it('is opened with our credential at the address of the integration', async () => {
    const path = '/media/1.jpg?size=full';
    const { contentType, bytes } = await open(`${simulator.url}${path}`);
    expect([contentType, bytes.equals(pictureBytes('/media/1.jpg', 40_000))]).toEqual(['image/jpeg', true]);
  });

  it('is opened anywhere else without it, and so is one whose address only looks like ours', async () => {
    expect((await open(`${foreign}/1.jpg`)).bytes.equals(pictureBytes('elsewhere', 100))).toBe(true);
    const { port } = new URL(simulator.url);
    await open(`${foreign}/127.0.0.1:${port}/media/1.jpg`);
    expect(sent).toEqual([undefined, undefined]);
    await expect(open(`http://127.0.0.1:${port}@example.invalid/1.jpg`)).rejects.toMatchObject({
      name: 'AdapterError',
    });
  });

  it.each(['file:///etc/passwd', 'urn:sha256:00', 'http://169.254.169.254/latest', 'http://10.0.0.1/x'])(
    'is not opened at %s',
    async (url) => {
      await expect(open(url)).rejects.toMatchObject({ code: expect.stringMatching(/BAD_PAYLOAD|BLOCKED_ADDRESS/) });
    },
  );

  it('fails as its platform does', async () => {
    await control(simulator, 'outage', { seconds: 600 });
    await expect(open(`${simulator.url}/media/1.jpg`)).rejects.toMatchObject({ code: 'UNREACHABLE', status: 503 });
    await control(simulator, 'outage', { seconds: 0 });
  });
});
