import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DoorbellTopic } from '../../storage/database.ts';
import { createDoorbell } from '../../storage/doorbell.ts';
import { createProcessorThread } from './processor-thread.ts';
import type { Processor } from './processor.ts';

const logger = pino({ level: 'silent' });
let running: Processor | null = null;
afterEach(async () => {
  await running?.stop();
  running = null;
});

/** A thread that runs this for each message, `m`; `tell` answers. */
function entryOf(onMessage: string): URL {
  const text = `import { parentPort } from 'node:worker_threads';
    const tell = (m) => parentPort.postMessage(m);
    parentPort.on('message', (m) => { if (m.kind === 'stop') parentPort.close(); ${onMessage} });`;
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

function create(onMessage: string) {
  const doorbell = createDoorbell(logger);
  const rung: DoorbellTopic[] = [];
  doorbell.on('*', (topic) => rung.push(topic));
  const onDevicesAdded = vi.fn<(id: string) => void>();
  const onEnd = vi.fn<() => void>();
  running = createProcessorThread({
    entry: entryOf(onMessage),
    data: { databaseUrl: 'sqlite:nowhere', logLevel: 'silent', turns: new SharedArrayBuffer(16) },
    doorbell,
    logger,
    onDevicesAdded,
    onEnd,
    restartMs: 1,
  });
  return { processor: running, doorbell, rung, onDevicesAdded, onEnd };
}

describe('a processor in a thread', () => {
  it('is asked to process, and says when it has', async () => {
    const { processor } = create(`if (m.kind === 'process') tell({ kind: 'processed', id: m.id,
      error: m.integrationId === 'int_bad' ? 'it broke' : null });`);
    await expect(processor.process('int_1')).resolves.toBeUndefined();
    await expect(processor.process('int_bad')).rejects.toThrow('it broke');
  });

  it('hears when something arrives, and its own rings are heard here and not sent back', async () => {
    const { processor, doorbell, rung } = create(`
      globalThis.heard ??= [];
      if (m.kind === 'ring') heard.push(m.kind);
      if (m.kind === 'ring') tell({ kind: 'rings', topics: ['inbox', 'log', 'org:1', 'nonsense'] });
      if (m.kind === 'process') tell({ kind: 'processed', id: m.id, error: String(heard.length) });`);
    processor.start();
    doorbell.ring('inbox');
    await vi.waitFor(() => expect(rung).toEqual(['inbox', 'inbox', 'log', 'org:1']));
    await expect(processor.process('int_1')).rejects.toThrow('1');
  });

  it('tells of devices that were added', async () => {
    const { processor, onDevicesAdded } = create(`if (m.kind === 'start')
      tell({ kind: 'devicesAdded', integrationId: 'int_1' });`);
    processor.start();
    await vi.waitFor(() => expect(onDevicesAdded).toHaveBeenCalledWith('int_1'));
  });

  it('that dies is started again, and who waited for it is told', async () => {
    const { processor, onDevicesAdded, onEnd } = create(`
      if (m.kind === 'start') tell({ kind: 'devicesAdded', integrationId: 'started' });
      if (m.kind === 'process') throw new Error('of the test');`);
    processor.start();
    await vi.waitFor(() => expect(onDevicesAdded).toHaveBeenCalledTimes(1));
    await expect(processor.process('int_1')).rejects.toThrow('the processing thread ended');
    await vi.waitFor(() => expect(onDevicesAdded).toHaveBeenCalledTimes(2));
    expect(onEnd).toHaveBeenCalledTimes(1);
  });

  it('is not started again once it was stopped, and takes no more work', async () => {
    const { processor, onEnd } = create('');
    processor.start();
    await processor.stop();
    expect(onEnd).toHaveBeenCalledTimes(1);
    await expect(processor.process('int_1')).rejects.toThrow('stopping');
    running = null;
  });
});
