import { describe, expect, it } from 'vitest';
import { MAX_WAITING_BYTES } from './stream-group.ts';
import { createStreamWorld, DEEP, names } from './test-support/stream-world.ts';
import { TestSink } from './test-support/tiny-graph.ts';

/** A client on a network that the test slows down. */
class SlowSink extends TestSink {
  waiting = 0;
  isCut = false;
  onCut = (): void => undefined;
  #looks = 0;
  readonly #watching = new Set<() => void>();
  readonly backlog = {
    bytes: () => {
      this.#looks += 1;
      for (const look of [...this.#watching]) look();
      return this.waiting;
    },
    cut: () => {
      this.isCut = true;
      this.onCut();
    },
  };

  /** Resolves when it was looked so often how much waits. */
  async looked(times: number): Promise<void> {
    while (this.#looks < times) {
      await new Promise<void>((resolve) => {
        this.#watching.add(resolve);
      });
    }
  }
}

describe('streams of which more waits than is taken', () => {
  it('asks for what many items need at once, and tells them in order', async () => {
    const { log, fetched, subscribe } = createStreamWorld();
    log.append(100);
    const { sink } = subscribe(DEEP, { variables: { after: 'c0' } });
    await sink.received(101);
    expect(names(sink)).toEqual([...Array.from({ length: 100 }, (_, at) => `name of d${at + 1}`), 'ReplayComplete']);
    expect(fetched.length).toBeLessThan(10);
  });

  it('waits when nobody can take more, and goes on when somebody can', async () => {
    const { log, subscribe } = createStreamWorld();
    const slow = new SlowSink();
    slow.waiting = MAX_WAITING_BYTES + 1;
    subscribe(DEEP, { sink: slow });
    await log.topic.opened(1);
    log.append(20);
    await slow.looked(3);
    expect(slow.texts.length).toBe(1);
    slow.waiting = 0;
    await slow.received(20);
    expect(names(slow)).toEqual(Array.from({ length: 20 }, (_, index) => `name of d${index + 1}`));
    expect(slow.isCut).toBe(false);
  });

  it('waits for no subscriber while another keeps up', async () => {
    const { log, subscribe } = createStreamWorld();
    const slow = new SlowSink();
    slow.waiting = MAX_WAITING_BYTES + 1;
    subscribe(DEEP, { sink: slow });
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append(20);
    await sink.received(20);
    expect([slow.texts.length, slow.isCut]).toEqual([20, false]);
  });

  it('cuts those who take nothing for too long while their stream waits for them', async () => {
    const { log, subscribe } = createStreamWorld();
    const stalled = new SlowSink();
    stalled.waiting = MAX_WAITING_BYTES + 1;
    const { leave } = subscribe(DEEP, { sink: stalled });
    stalled.onCut = leave;
    await log.topic.opened(1);
    log.append(2);
    await log.topic.opened(0);
    expect([stalled.texts.length, stalled.isCut]).toEqual([1, true]);
  });
});
