import { describe, expect, it } from 'vitest';
import { createStreamWorld, DEEP, names } from './test-support/stream-world.ts';
import { gate } from './test-support/tiny-graph.ts';

describe('streams over a reload of the supergraph', () => {
  it('survives a reload: same stream, no item lost, new fields at once', async () => {
    const { engine, log, source, subscribe } = createStreamWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    await engine.reload(source({ field: 'colour' }));
    log.append();
    await sink.received(2);
    expect(names(sink)).toEqual(['name of d1', 'name of d2']);
    expect(log.asked).toHaveLength(1);
    const coloured = subscribe('subscription { stream { ... on Delivered { device { colour } } } }');
    await log.topic.opened(2);
    log.append();
    await coloured.sink.received(1);
    expect(coloured.sink.items).toEqual([{ stream: { device: { colour: 'colour of d3' } } }]);
  });

  it('follows the subgraph to another place, without gap or duplicate', async () => {
    const { engine, log, source, subscribe } = createStreamWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    log.append();
    await sink.received(1);
    const elsewhere = source().transports.get('events');
    if (elsewhere === undefined) throw new Error('there is no events subgraph');
    const moved = gate();
    await engine.reload(
      source({
        events: {
          execute: (fetch) => elsewhere.execute(fetch),
          subscribe: (fetch) => {
            moved.open();
            return elsewhere.subscribe(fetch);
          },
        },
      }),
    );
    log.append();
    await moved.opened;
    await sink.received(2);
    log.append();
    await sink.received(3);
    expect(names(sink)).toEqual(['name of d1', 'name of d2', 'name of d3']);
    expect(log.asked.map(({ after }) => after)).toEqual([null, 'c1']);
    expect(log.topic.openStreams).toBe(1);
  });

  it('ends a stream whose fields are gone after a reload, and says so', async () => {
    const { engine, log, source, subscribe } = createStreamWorld();
    await engine.reload(source({ field: 'colour' }));
    const { sink } = subscribe('subscription { stream { ... on Delivered { device { colour } } } }');
    await log.topic.opened(1);
    await engine.reload(source());
    await sink.ended();
    expect(JSON.stringify(sink.errors)).toContain('colour');
    await log.topic.opened(0);
  });

  it('keeps everything as it was when a reload fails', async () => {
    const { engine, log, subscribe } = createStreamWorld();
    const { sink } = subscribe(DEEP);
    await log.topic.opened(1);
    await expect(engine.reload({ supergraphSdl: 'type Query {', transports: new Map() })).rejects.toThrow(
      'Syntax Error',
    );
    log.append();
    await sink.received(1);
    expect(names(sink)).toEqual(['name of d1']);
  });
});
