import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from './child.ts';
import { median } from './measure.ts';
import { type BenchPlatform, memoryPlatforms } from './memory-platform.ts';
import type { FinishedRun, ProductCalls } from './product-child.ts';
import { count, type Figure, type PartResult } from './report.ts';
import type { Setting } from './setting.ts';
import type { SimulatorCalls } from './simulator-child.ts';

const TARGET_MS = 2_000;
const DEVICES = 20_000;
/** Each in a store of its own. */
const ROUNDS = 2;

interface Measured {
  readonly ms: number;
  readonly cpuMs: number;
}

/** @returns a first sync, and one that finds everything as it was */
async function syncOnce(
  dir: string,
  kind: Setting['platforms'],
  platform: BenchPlatform,
): Promise<{ readonly first: Measured; readonly again: Measured }> {
  const product = startChild<ProductCalls>('product-child.ts', 0);
  try {
    await product.call('start', { dir, platforms: kind });
    const { integrations } = await product.call('fillHeld', [platform]);
    const integrationId = integrations[0]?.id ?? '';
    const take = async (key: string, expected: Partial<FinishedRun>): Promise<Measured> => {
      const { run, cpuMs } = await product.call('sync', { integrationId, key });
      const wrong = Object.entries(expected).filter(([name, value]) => Object(run)[name] !== value);
      if (run === undefined || wrong.length > 0) throw new Error(`the sync ended as ${JSON.stringify(run)}`);
      return { ms: run.ms, cpuMs };
    };
    const first = await take('first', { state: 'SUCCEEDED', listed: DEVICES, added: DEVICES });
    await take('again', { state: 'SUCCEEDED', listed: DEVICES, added: 0 });
    const again = await take('once more', { state: 'SUCCEEDED', listed: DEVICES, added: 0, updated: 0 });
    return { first, again };
  } finally {
    await product.stop();
  }
}

/** The whole inventory of a large customer. */
export async function benchSync(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  const simulators = startChild<SimulatorCalls>('simulator-child.ts', 1);
  const figures: Figure[] = [];
  try {
    const remote = await simulators.call('start', { devices: DEVICES, orgs: 1, settings: { perPage: 500 } });
    const variants: readonly [string, Setting['platforms'], BenchPlatform | undefined][] = [
      ['listing in memory', 'memory', memoryPlatforms(DEVICES, 1)[0]],
      ['listing over HTTP, 500 a page', 'http', remote[0]],
    ];
    for (const [what, kind, platform] of variants) {
      if (platform === undefined) throw new Error('there is no platform');
      const rounds: Awaited<ReturnType<typeof syncOnce>>[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        rounds.push(await syncOnce(join(dir, `${kind}-${round}`), kind, platform));
      }
      for (const [name, label] of [
        ['first', `first sync, ${what}`],
        ['again', `unchanged, ${what}`],
      ] as const) {
        const ms = median(rounds.map((round) => round[name].ms));
        const cpuMs = median(rounds.map((round) => round[name].cpuMs));
        figures.push({
          what: label,
          value: `${count(ms)} ms, ${count(cpuMs)} CPU ms, ${count((DEVICES / ms) * 1_000)} devices/s`,
          target: { text: `${count(TARGET_MS)} ms`, isMet: ms <= TARGET_MS },
        });
      }
    }
    return {
      title: `Sync of ${count(DEVICES)} devices`,
      figures,
      notes: [
        `By the run's own record, SQLite with synchronous=FULL, ${ROUNDS} rounds, each in a store of its own. CPU includes asking for the run's end.`,
      ],
    };
  } finally {
    await simulators.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
