import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { openDatabase } from '../open-database.ts';
import { createTestStore } from '../testing.ts';

/** Writes overlapping groups of rows for ever, and says on its standard output which were acknowledged. */
const WRITER = `
  import { openDatabase } from ${JSON.stringify(new URL('../open-database.ts', import.meta.url).href)};
  import { pino } from ${JSON.stringify(import.meta.resolve('pino'))};
  const [, url, round] = process.argv;
  const db = await openDatabase({ url, logger: pino({ level: 'silent' }) });
  const columns = ['device_id', 'org_id', 'tag'];
  let next = 0;
  const work = async () => {
    for (;;) {
      const group = String(next++);
      const rows = Array.from({ length: 10 }, (_, row) => [round + ':' + group, 'o', String(row)]);
      await db.write(async (tx) => {
        await db.bulkInsert(tx, { table: 'device_tags', columns, rows });
        await db.takeSequence(tx, 10);
      });
      process.stdout.write(round + ':' + group + '\\n');
    }
  };
  await Promise.all([work(), work(), work(), work()]);`;

it('keeps every acknowledged row, and no half of a group, when its process is killed at any moment', async () => {
  const { options, remove } = await createTestStore('sqlite');
  try {
    const acknowledged: string[] = [];
    for (const [round, killAfter] of [1, 20, 75, 150].entries()) {
      const args = ['--input-type=module-typescript', '--eval', WRITER, options.url, String(round)];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let lines = 0;
      const output = createInterface(child.stdout).on('line', (line) => {
        acknowledged.push(line);
        lines += 1;
        if (lines === killAfter) child.kill('SIGKILL');
      });
      await Promise.all([once(child, 'exit'), once(output, 'close')]);
      expect(child.signalCode).toBe('SIGKILL');
    }
    const db = await openDatabase(options);
    const groups = await db.read
      .selectFrom('device_tags')
      .select(({ fn }) => ['device_id', fn.countAll<number>().as('rows')])
      .groupBy('device_id')
      .execute();
    expect(groups.filter(({ rows }) => rows !== 10)).toEqual([]);
    const stored = new Set(groups.map((group) => group.device_id));
    expect(acknowledged.length).toBeGreaterThan(200);
    expect(acknowledged.filter((group) => !stored.has(group))).toEqual([]);
    expect(await db.head()).toBe(groups.length * 10);
    await db.close();
  } finally {
    await remove();
  }
});
