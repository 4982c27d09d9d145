import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { PushItem } from '../client.ts';
import { openDurableQueue } from './durable-queue.ts';

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'relay-queue-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'queue');
}

const item = (index: number): PushItem => ({ kind: 'EVENT', value: { device_id: 'cam', index } });
const items = (from: number, to: number): PushItem[] => Array.from({ length: to - from }, (_, i) => item(from + i));

async function reopened(dir: string): Promise<readonly PushItem[]> {
  const queue = await openDurableQueue(dir);
  await queue.close();
  return queue.backlog;
}

describe('queue on disk', () => {
  it('has on disk what it says is there, in its order, without being closed', async () => {
    const dir = folder();
    const queue = await openDurableQueue(dir);
    await Promise.all([queue.append(items(0, 3)), queue.append(items(3, 4)), queue.append(items(4, 9))]);
    expect(await reopened(dir)).toEqual(items(0, 9));
  });

  it('begins where the cloud stopped taking, over several lives', async () => {
    const dir = folder();
    const first = await openDurableQueue(dir);
    await first.append(items(0, 5));
    first.taken(3);
    await first.close();
    const second = await openDurableQueue(dir);
    expect(second.backlog).toEqual(items(3, 5));
    await second.append(items(5, 7));
    second.taken(1);
    await second.close();
    expect(await reopened(dir)).toEqual(items(4, 7));
  });

  it('cuts off a line that was half written, and leaves out one that cannot be read', async () => {
    const dir = folder();
    const first = await openDurableQueue(dir);
    await first.append(items(0, 2));
    await first.close();
    appendFileSync(join(dir, 'queue.ndjson'), `garbage\n${JSON.stringify(item(2))}\n{"kind":"EVENT","val`);
    const second = await openDurableQueue(dir);
    expect(second).toMatchObject({ backlog: items(0, 3), damaged: 2 });
    await second.append(items(3, 4));
    await second.close();
    expect(await reopened(dir)).toEqual(items(0, 4));
  });

  it('repeats rather than loses when the place was lost', async () => {
    const dir = folder();
    const first = await openDurableQueue(dir);
    await first.append(items(0, 4));
    first.taken(2);
    await first.close();
    rmSync(join(dir, 'taken.json'));
    expect(await reopened(dir)).toEqual(items(0, 4));
  });

  it('does not grow with what was taken', async () => {
    const dir = folder();
    const queue = await openDurableQueue(dir);
    for (let round = 0; round < 6; round += 1) {
      await queue.append(items(round * 5_000, (round + 1) * 5_000));
      queue.taken((round + 1) * 5_000 - 1);
    }
    await queue.append(items(30_000, 30_001));
    await queue.close();
    expect(statSync(join(dir, 'queue.ndjson')).size).toBeLessThan(15_000 * 60);
    expect(await reopened(dir)).toEqual(items(29_999, 30_001));
    expect(readFileSync(join(dir, 'queue.ndjson'), 'utf8')).toMatch(/^\{"from":29999\}\n/);
  });

  it('is readable by its owner alone', async () => {
    const dir = folder();
    await (await openDurableQueue(dir)).close();
    expect(statSync(join(dir, 'queue.ndjson')).mode & 0o077).toBe(0);
    expect(statSync(dir).mode & 0o077).toBe(0);
  });
});
