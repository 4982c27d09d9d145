import { AsyncLocalStorage } from 'node:async_hooks';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { createDoorbell } from './doorbell.ts';

describe('doorbell', () => {
  const create = () => createDoorbell(pino({ level: 'silent' }));

  it('tells the listeners of a topic, and those of all topics', () => {
    const bell = create();
    const heard: string[] = [];
    bell.on('log', (topic) => heard.push(`log heard ${topic}`));
    bell.on('*', (topic) => heard.push(`all heard ${topic}`));
    bell.ring('log');
    bell.ring('org:1');
    expect(heard).toEqual(['log heard log', 'all heard log', 'all heard org:1']);
  });

  it('leaves a listener in peace that went away, even while it rings', () => {
    const bell = create();
    const heard: string[] = [];
    const leave = bell.on('log', () => {
      heard.push('first');
      leave();
    });
    bell.on('log', () => heard.push('second'));
    bell.ring('log');
    bell.ring('log');
    expect(heard).toEqual(['first', 'second', 'second']);
  });

  it('lets one topic have the same listener twice, and each go alone', () => {
    const bell = create();
    let count = 0;
    const listener = () => (count += 1);
    const leave = bell.on('log', listener);
    bell.on('log', listener);
    leave();
    leave();
    bell.ring('log');
    expect(count).toBe(1);
  });

  it('goes on when a listener throws', () => {
    const bell = create();
    const heard: string[] = [];
    bell.on('log', () => {
      throw new Error('deaf');
    });
    bell.on('log', () => heard.push('second'));
    bell.ring('log');
    expect(heard).toEqual(['second']);
  });

  it('runs listeners in the context they came from', () => {
    const context = new AsyncLocalStorage<string>();
    const bell = create();
    const heard: unknown[] = [];
    context.run('listener', () => bell.on('log', () => heard.push(context.getStore())));
    context.run('ringer', () => bell.ring('log'));
    expect(heard).toEqual(['listener']);
  });
});
