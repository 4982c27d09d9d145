import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { type Inbox, openInbox } from '../fixtures/vendor-rig.ts';
import { createDeliveryQueue, type DeliveryFaults, type DeliveryQueue, QueuedDelivery } from './delivery-queue.ts';
import { keepState, readState } from './state-file.ts';

let inbox: Inbox;
let folder: string;

beforeEach(async () => {
  inbox = await openInbox();
  folder = mkdtempSync(join(tmpdir(), 'delivery-queue-'));
});
afterEach(async () => {
  await inbox.close();
  rmSync(folder, { recursive: true });
});

interface Over extends Partial<DeliveryFaults> {
  readonly isHeld?: boolean;
  readonly stateFile?: string;
  readonly url?: () => string | null;
}

function open(over: Over = {}): DeliveryQueue<QueuedDelivery> {
  const url = over.url ?? (() => inbox.url);
  const queue = createDeliveryQueue({
    stateFile: over.stateFile ?? null,
    schema: QueuedDelivery,
    faults: () => ({ duplicateRate: 0, disorder: false, attempts: 5, ...over }),
    isHeld: () => over.isHeld ?? false,
    chance: () => 0.5,
    requestOf() {
      const to = url();
      return to === null ? null : { url: to, headers: {} };
    },
  });
  onTestFinished(() => queue.close());
  return queue;
}

function deliveries(...bodies: readonly string[]): QueuedDelivery[] {
  return bodies.map((body) => ({ lane: body.slice(0, 1), body, attempts: 0 }));
}

async function bodies(count: number): Promise<string[]> {
  return (await inbox.until(count)).map(({ body }) => body.toString());
}

describe('a delivery queue', () => {
  it('keeps the order of a lane while its first delivery is refused', async () => {
    inbox.answers.push(503);
    open().add(deliveries('a1', 'a2'));
    expect(await bodies(3)).toEqual(['a1', 'a1', 'a2']);
  });

  it('lets other lanes pass', async () => {
    inbox.answers.push(503);
    const queue = open();
    queue.add(deliveries('a1'));
    await inbox.until(1);
    queue.add(deliveries('b1'));
    expect(await bodies(3)).toEqual(['a1', 'b1', 'a1']);
  });

  it('gives a delivery up after its attempts', async () => {
    inbox.answers.push(500, 302);
    const queue = open({ attempts: 2 });
    queue.add(deliveries('a1', 'a2'));
    expect(await bodies(3)).toEqual(['a1', 'a1', 'a2']);
    expect(queue.stats()).toMatchObject({ lost: 1, refused: 1 });
  });

  it('sends all of them twice when told to', async () => {
    open({ duplicateRate: 1 }).add(deliveries('a1'));
    expect(await bodies(2)).toEqual(['a1', 'a1']);
  });

  it('forgets what nobody waits for', () => {
    const queue = open({ url: () => null });
    queue.add(deliveries('a1'));
    expect(queue.stats()).toEqual({ delivered: 0, refused: 0, lost: 0, pending: 0 });
  });

  it('takes no more than it can hold', () => {
    const queue = open({ isHeld: true });
    queue.add(deliveries(...Array.from({ length: 10_001 }, () => 'a')));
    expect(queue.stats()).toMatchObject({ lost: 1, pending: 10_000 });
  });

  it.each([2, 60])('sends %i deliveries after a restart that nobody had taken', async (count) => {
    const stateFile = join(folder, 'platform.json');
    const before = open({ stateFile, isHeld: true });
    before.add(deliveries(...Array.from({ length: count }, (_, index) => `a${index}`)));
    before.close();
    open({ stateFile });
    expect(await bodies(count)).toEqual(Array.from({ length: count }, (_, index) => `a${index}`));
  });
});

describe('a state file', () => {
  const State = z.object({ port: z.int() });

  it('is there again, in a folder of its own', () => {
    const path = join(folder, 'new', 'platform.json');
    const { state, save } = keepState(path, { port: 0 });
    state.port = 8_080;
    save();
    expect(readState(path, State)).toEqual({ port: 8_080 });
    expect(readFileSync(path, 'utf8')).toBe('{"port":8080}');
  });

  it('is none where nothing is to be remembered', () => {
    keepState(null, { port: 1 }).save();
    expect(readState(null, State)).toBeNull();
    expect(readState(join(folder, 'none.json'), State)).toBeNull();
  });

  it('is refused when it says something else', () => {
    const path = join(folder, 'platform.json');
    writeFileSync(path, '{"port":"many"}');
    expect(() => readState(path, State)).toThrow(z.ZodError);
  });
});
