import { describe, expect, it } from 'vitest';
import { createStreamWorld, DEEP, names } from './test-support/stream-world.ts';
import { type SubgraphTransport, TransportError } from './transport.ts';

describe('resumed and merged streams', () => {
  it('goes on after the last item when the stream was lost, without gap or duplicate', async () => {
    const { log, subscribe } = createStreamWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append(2);
    await sink.received(2);
    log.topic.end(new Error('connection reset'));
    log.append(2);
    await log.topic.opened(1);
    log.append();
    await sink.received(5);
    expect(names(sink)).toEqual(['name of d1', 'name of d2', 'name of d3', 'name of d4', 'name of d5']);
    expect(log.asked.map(({ after }) => after)).toEqual([null, 'c2']);
  });

  it('tells of the end of a replay once, though the stream was lost in between', async () => {
    const { log, subscribe } = createStreamWorld();
    log.append(2);
    const { sink } = subscribe(DEEP, { variables: { after: 'c0' } });
    await sink.received(3);
    log.topic.end(new Error('connection reset'));
    await log.topic.opened(1);
    log.append();
    await sink.received(4);
    expect(names(sink)).toEqual(['name of d1', 'name of d2', 'ReplayComplete', 'name of d3']);
  });

  it('goes on where it stood when the stream was lost before its first item', async () => {
    const { log, subscribe } = createStreamWorld();
    log.append(2);
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.place();
    log.topic.end(new Error('connection reset'));
    log.append();
    await sink.received(1);
    expect(names(sink)).toEqual(['name of d3']);
    expect(log.asked.map(({ after }) => after)).toEqual([null, 'c2']);
  });

  it('tells nobody of places, and merges streams that stand at the same', async () => {
    const { engine, log, subscribe } = createStreamWorld();
    const live = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await live.sink.received(1);
    const late = subscribe(DEEP, { variables: { after: 'c1' } });
    await late.sink.received(1);
    await log.topic.opened(1);
    expect(engine.streams()).toMatchObject({ groups: 1, subscribers: 2 });
    log.place();
    log.append();
    await Promise.all([live.sink.received(2), late.sink.received(2)]);
    expect(names(live.sink)).toEqual(['name of d1', 'name of d2']);
    expect(names(late.sink)).toEqual(['ReplayComplete', 'name of d2']);
  });

  it('begins after the cursor with which a client comes back, whatever its document says', async () => {
    const { log, subscribe } = createStreamWorld();
    log.append(3);
    const { sink } = subscribe(DEEP, { variables: { after: 'c0' }, resumeAfter: 'c2' });
    await sink.received(2);
    expect(names(sink)).toEqual(['name of d3', 'ReplayComplete']);
  });

  it('hands out the cursor with each item', async () => {
    const { log, subscribe } = createStreamWorld();
    log.append(1);
    const { sink } = subscribe(DEEP, { variables: { after: 'c0' } });
    await sink.received(2);
    log.append();
    await sink.received(3);
    expect(sink.cursors).toEqual(['c1', 'c1', 'c2']);
  });

  it('comes back as often as it takes', async () => {
    const { engine, log, source, subscribe } = createStreamWorld();
    let failures = 3;
    const local = source().transports.get('events');
    if (local === undefined) throw new Error('there is no events subgraph');
    const flaky: SubgraphTransport = {
      execute: (fetch) => local.execute(fetch),
      subscribe: (fetch) => {
        if (failures-- > 0) throw new TransportError('SUBGRAPH_UNAVAILABLE', 'down');
        return local.subscribe(fetch);
      },
    };
    await engine.reload(source({ events: flaky }));
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    expect(failures).toBe(-1);
  });

  it('does not let a new subscriber into a replay that has begun', async () => {
    const { log, subscribe } = createStreamWorld();
    log.append(2);
    const first = subscribe(DEEP, { variables: { after: 'c0' } });
    await first.sink.received(3);
    const second = subscribe(DEEP, { variables: { after: 'c0' } });
    await second.sink.received(3);
    expect(names(second.sink)).toEqual(['name of d1', 'name of d2', 'ReplayComplete']);
  });

  it('merges groups that stand at the same item, without gap or duplicate', async () => {
    const { engine, log, fetched, subscribe } = createStreamWorld();
    log.append(3);
    const live = subscribe(DEEP);
    await log.topic.opened(1);
    const late = subscribe(DEEP, { variables: { after: 'c1' } });
    await late.sink.received(3);
    expect(engine.streams().groups).toBe(2);
    log.append();
    await Promise.all([live.sink.received(1), late.sink.received(4)]);
    await log.topic.opened(1);
    fetched.length = 0;
    log.append();
    await Promise.all([live.sink.received(2), late.sink.received(5)]);
    expect(engine.streams()).toMatchObject({ groups: 1, subscribers: 2 });
    expect(fetched).toEqual([['d5']]);
    expect(names(live.sink)).toEqual(['name of d4', 'name of d5']);
    expect(names(late.sink)).toEqual(['name of d2', 'name of d3', 'ReplayComplete', 'name of d4', 'name of d5']);
    late.leave();
    expect(engine.streams()).toMatchObject({ groups: 1, subscribers: 1 });
    live.leave();
    await log.topic.opened(0);
  });
});
