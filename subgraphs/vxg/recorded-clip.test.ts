import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Adapter } from '../../adapter-kit/adapter.ts';
import { createHttpClientFactory } from '../../adapter-kit/http/create-http-client.ts';
import { connect, never, simulate } from './fixtures/rig.ts';
import { openRecording } from './recorded-clip.ts';
import type { VxgSimulator } from './simulator.ts';

let simulator: VxgSimulator;
let adapter: Adapter;
const asked: (string | undefined)[] = [];
const http = createHttpClientFactory({
  network: { allow: ['127.0.0.0/8'], allowHttp: true },
  logger: pino({ level: 'silent' }),
  now: () => new Date(),
  random: () => 0,
});
const AT = new Date('2026-11-18T06:12:41Z');

beforeAll(async () => {
  simulator = await simulate({ devices: 4 });
  adapter = connect(simulator);
});
afterAll(async () => {
  await adapter.close();
  await simulator.close();
});

async function sizeOf(body: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of body) size += chunk.length;
  return size;
}

/** Recordings as the service lists them; a link's path tells which one it is of. */
function listing(...spans: readonly (readonly [string, string])[]) {
  return {
    recordings: (cameraId: string, from: Date, until: Date) => {
      asked.push(`${cameraId} ${from.toISOString()} ${until.toISOString()}`);
      const links = spans.map(([start, end]) => {
        return { start, end, url: `${simulator.url}/storage/none/${encodeURIComponent(start)}` };
      });
      return Promise.resolve(links);
    },
  };
}

describe('the recording of an event', () => {
  it('is asked for with our key, and read from where its link leads', async () => {
    const nativeDeviceId = simulator.devices().find(({ type }) => type === 'camera')?.nativeId ?? '';
    const media = { url: 'https://x.example', contentType: null, sha256: null, occurredAt: AT, nativeDeviceId };
    const opened = await adapter.openMedia?.({ ...media, delivery: () => Promise.resolve(null) }, never());
    expect(opened?.contentType).toBe('video/mp4');
    expect(await sizeOf(opened?.body ?? (async function* () {})())).toBe(2_500_000);
  });

  it('is the one that shows the instant', async () => {
    const client = listing(
      ['2026-11-18T06:12:30', '2026-11-18T06:12:40'],
      ['2026-11-18T06:12:40', '2026-11-18T06:12:50'],
    );
    const opening = openRecording(client, http, { nativeDeviceId: '7', occurredAt: AT }, never());
    // The link is not signed: its address is in what the storage refuses.
    await expect(opening).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('06%3A12%3A40'),
    });
    expect(asked).toEqual(['7 2026-11-18T06:12:36.000Z 2026-11-18T06:12:56.000Z']);
  });

  it.each([
    ['nothing was recorded', listing(), '7'],
    ['it is of no camera', listing(['2026-11-18T06:12:30', '2026-11-18T06:12:50']), null],
  ])('is not there when %s', async (_, client, nativeDeviceId) => {
    const opening = openRecording(client, http, { nativeDeviceId, occurredAt: AT }, never());
    await expect(opening).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
