import { describe, expect, it } from 'vitest';
import { testPrincipal } from './test-support/principal.ts';
import { createStreamWorld, DEEP, names } from './test-support/stream-world.ts';
import { TestSink } from './test-support/tiny-graph.ts';

describe('subscription hub', () => {
  it('sends what the item needs from other subgraphs with it', async () => {
    const { log, subscribe } = createStreamWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    expect(sink.texts).toEqual(['{"data":{"stream":{"__typename":"Delivered","device":{"name":"name of d1"}}}}']);
  });

  it('opens one stream, fetches once and writes one text for equal subscribers', async () => {
    const { engine, log, fetched, subscribe } = createStreamWorld();
    const sinks = Array.from(
      { length: 20 },
      (_, index) => subscribe(DEEP, { principal: testPrincipal({ id: `user ${index}` }) }).sink,
    );
    await log.topic.opened(1);
    log.append();
    await Promise.all(sinks.map((sink) => sink.received(1)));
    expect(fetched).toEqual([['d1']]);
    expect(new Set(sinks.map((sink) => sink.texts[0])).size).toBe(1);
    expect(engine.streams()).toMatchObject({ groups: 1, subscribers: 20 });
  });

  it('never shares between accesses, variables or documents', async () => {
    const { engine, log, subscribe } = createStreamWorld();
    subscribe(DEEP);
    subscribe(DEEP, { principal: testPrincipal({ access: { orgIds: ['org_1'], siteIds: null } }) });
    subscribe(DEEP, { principal: testPrincipal({ access: { orgIds: ['org_1'], siteIds: ['site_1'] } }) });
    subscribe(DEEP, { principal: testPrincipal({ scopes: new Set(['events:read'] as const) }) });
    subscribe(DEEP, { variables: { filter: 'x' } });
    subscribe('subscription { stream { __typename } }');
    await log.topic.opened(6);
    expect(engine.streams()).toMatchObject({ groups: 6, subscribers: 6 });
  });

  it('does not share what is about the caller', async () => {
    const { subscribe } = createStreamWorld();
    const sinks = ['ann', 'bob'].map(
      (id) => subscribe('subscription { me { name } }', { principal: testPrincipal({ id }) }).sink,
    );
    await Promise.all(sinks.map((sink) => sink.received(1)));
    expect(sinks.map((sink) => sink.items)).toEqual([[{ me: { name: 'ann' } }], [{ me: { name: 'bob' } }]]);
  });

  it('shares nothing of what is made for one request alone, not even with the same principal', async () => {
    const { engine, log, subscribe } = createStreamWorld({ singleFields: new Set(['Delivered.device']) });
    const sinks = [subscribe(DEEP).sink, subscribe(DEEP).sink];
    await log.topic.opened(2);
    log.append();
    await Promise.all(sinks.map((sink) => sink.received(1)));
    expect(engine.streams()).toMatchObject({ groups: 2, subscribers: 2, executed: 2 });
  });

  it('closes the stream when the last one leaves', async () => {
    const { engine, log, subscribe } = createStreamWorld();
    const [first, second] = [subscribe(DEEP), subscribe(DEEP)];
    await log.topic.opened(1);
    first.leave();
    log.append();
    await second.sink.received(1);
    second.leave();
    await log.topic.opened(0);
    expect(first.sink.texts).toEqual([]);
    expect(engine.streams()).toMatchObject({ groups: 0, subscribers: 0 });
  });

  it('leaves with the signal of the request', async () => {
    const { engine, log } = createStreamWorld();
    const caller = new AbortController();
    engine.subscribe(
      { document: DEEP, principal: testPrincipal(), requestId: 'r', signal: caller.signal },
      new TestSink(),
    );
    await log.topic.opened(1);
    caller.abort();
    await log.topic.opened(0);
    expect(engine.streams().groups).toBe(0);
  });

  it('tells why the subgraph refused', async () => {
    const { engine, subscribe } = createStreamWorld();
    const { sink } = subscribe(DEEP, { variables: { after: 'bad' } });
    await sink.ended();
    expect(sink.errors).toMatchObject([
      { message: 'no such cursor', extensions: { code: 'BAD_CURSOR', service: 'events' } },
    ]);
    expect(engine.streams().groups).toBe(0);
  });

  it.each([
    ['that is not valid', 'subscription { nope }', {}],
    ['with bad variables', DEEP, { after: 7 }],
    ['that is no subscription', '{ devices }', {}],
  ])('refuses a document %s, after subscribe has returned', async (_, document, variables) => {
    const { subscribe } = createStreamWorld();
    const { sink } = subscribe(document, { variables });
    expect(sink.errors).toEqual([]);
    await sink.ended();
    expect(sink.errors).toHaveLength(1);
  });

  it('does not let a sink that throws cost the others theirs', async () => {
    const { engine, log, subscribe } = createStreamWorld();
    const broken = new TestSink();
    broken.next = () => {
      throw new Error('socket is gone');
    };
    engine.subscribe(
      { document: DEEP, principal: testPrincipal(), requestId: 'r', signal: new AbortController().signal },
      broken,
    );
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    expect(names(sink)).toEqual(['name of d1']);
  });

  it('completes every stream when it is closed', async () => {
    const { engine, log, subscribe } = createStreamWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    engine.close();
    await sink.ended();
    await log.topic.opened(0);
    expect(sink.isComplete).toBe(true);
  });

  it('completes with the source', async () => {
    const { log, subscribe } = createStreamWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.topic.end();
    await sink.ended();
    expect(sink.isComplete).toBe(true);
  });
});
