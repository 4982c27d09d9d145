import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { InboundMessage } from '../../adapter-kit/model.ts';
import { decodeOne, delivery, RECEIVED_AT } from './fixtures/rig.ts';
import { openDeliveredPicture } from './delivered-picture.ts';
import { ReconeyezSettings } from './settings.ts';

const picture = (fill: number): Buffer =>
  Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(9_000, fill)]);
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const settings = ReconeyezSettings.parse({});

function kept(value: unknown): () => Promise<InboundMessage | null> {
  const body = Buffer.from(JSON.stringify(value));
  return () => Promise.resolve({ body, headers: {}, source: 'WEBHOOK', receivedAt: RECEIVED_AT });
}

async function open(from: () => Promise<InboundMessage | null>, sha256: string, own = settings): Promise<Buffer> {
  const { body } = await openDeliveredPicture({ delivery: from, contentType: 'image/jpeg' }, sha256, own);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('a picture that came with its event', () => {
  const [first, second] = [picture(1), picture(2)];
  const binary = [first, second].map((bytes) => ({ type: 'image', data: bytes.toString('base64') }));

  it('is found in the delivery by the hash that the event has', async () => {
    const event = delivery({ binary });
    const hashes = (decodeOne(event).media ?? []).map(({ sha256 }) => sha256);
    expect(hashes).toEqual([hashOf(first), hashOf(second)]);
    for (const bytes of [first, second]) expect((await open(kept(event), hashOf(bytes))).equals(bytes)).toBe(true);
  });

  it('is found among several events, as plain text or where the settings say', async () => {
    const data = `data:image/jpeg;base64,${second.toString('base64')}`;
    expect((await open(kept([delivery(), { images: [data] }]), hashOf(second))).equals(second)).toBe(true);
    const own = ReconeyezSettings.parse({ aliases: { pictures: ['shots.all'] } });
    expect((await open(kept({ shots: { all: [data] } }), hashOf(second), own)).equals(second)).toBe(true);
  });

  it.each([
    ['is not kept any more', () => Promise.resolve(null)],
    ['has another picture', kept(delivery({ binary: binary.slice(0, 1) }))],
    ['has none', kept(delivery({ binary: [] }))],
    ['is no event', kept('text')],
  ])('is not found when its delivery %s', async (_, from) => {
    await expect(open(from, hashOf(second))).rejects.toMatchObject({ name: 'AdapterError', code: 'NOT_FOUND' });
  });
});
