import { pino } from 'pino';
import { beforeEach, expect, it } from 'vitest';
import type { Arrivals } from './delivery.ts';
import { StorageError } from './storage-error.ts';
import { eachEngine } from './testing.ts';
import { watchWrites } from './write-health.ts';

eachEngine('the health of the store', (open) => {
  const lines: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line).msg) });
  beforeEach(() => void lines.splice(0));

  async function watched() {
    const db = await open();
    const fault: { error: Error | null } = { error: null };
    const clock = { ms: 0 };
    let writes = 0;
    const failing: typeof db = {
      ...db,
      write: (job) => {
        writes += 1;
        return fault.error === null ? db.write(job) : Promise.reject(fault.error);
      },
    };
    const store = watchWrites({ db: failing, logger, elapsedMs: () => clock.ms });
    return { db: failing, store, fault, clock, writes: () => writes };
  }
  const touch = (store: Awaited<ReturnType<typeof watched>>['store']) => store.db.write(async () => 1);

  it('asks by itself when nobody wrote for a while, and believes the writes of others until then', async () => {
    const { store, clock, writes } = await watched();
    await store.check();
    expect(writes()).toBe(1);
    clock.ms = 9_999;
    await store.check();
    expect(writes()).toBe(1);
    clock.ms = 10_000;
    await Promise.all([store.check(), store.check(), store.check()]);
    expect(writes()).toBe(2);
    expect(lines).toEqual([]);
  });

  it.each(['DISK_FULL', 'IO', 'READ_ONLY', 'BUSY', 'CORRUPT'] as const)(
    'fails after %s until a write works again, and says each once',
    async (code) => {
      const { store, fault } = await watched();
      fault.error = new StorageError(code, 'of the test');
      await expect(touch(store)).rejects.toBe(fault.error);
      await expect(touch(store)).rejects.toBe(fault.error);
      await expect(store.check()).rejects.toMatchObject({ code });
      expect(store.isWritable).toBe(false);
      fault.error = null;
      await store.check();
      expect(store.isWritable).toBe(true);
      await store.check();
      expect(lines).toEqual(['The store cannot be written', 'The store can be written again']);
    },
  );

  it('fails while one of its files does, however well the other takes writes', async () => {
    const { db, fault, clock } = await watched();
    let broken: Error | null = new StorageError('DISK_FULL', 'of the test');
    const front: Arrivals = {
      append: () => (broken === null ? Promise.resolve([]) : Promise.reject(broken)),
      probe: () => (broken === null ? Promise.resolve() : Promise.reject(broken)),
      move: async () => 0,
      moveWithin: async () => {},
      oldest: () => null,
    };
    const store = watchWrites({ db: { ...db, arrivals: front }, logger, elapsedMs: () => clock.ms });
    await expect(store.db.arrivals?.append([])).rejects.toBe(broken);
    await touch(store);
    expect(store.isWritable).toBe(false);
    await expect(store.check()).rejects.toBe(broken);
    fault.error = new StorageError('IO', 'of the test');
    broken = null;
    await expect(store.check()).rejects.toBe(fault.error);
    fault.error = null;
    await store.check();
    expect(store.isWritable).toBe(true);
  });

  it('does not fail for what only a statement or a crowd did wrong', async () => {
    const { store, fault } = await watched();
    await touch(store);
    for (const code of ['OVERLOADED', 'DUPLICATE', 'CONSTRAINT', 'QUERY'] as const) {
      fault.error = new StorageError(code, 'of the test');
      await expect(touch(store)).rejects.toBe(fault.error);
      await store.check();
    }
  });
});
