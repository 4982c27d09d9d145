import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from './child.ts';
import type { ProductCalls } from './product-child.ts';
import { count, type Figure, type PartResult } from './report.ts';
import type { SimulatorCalls } from './simulator-child.ts';

/** Large installations on premises: how many devices a simulated platform needs so that there are enough of the kind. */
const INSTALLATIONS = [
  { vendor: 'milestone', what: 'XProtect cameras', type: 'CAMERA', atLeast: 20_000, devices: 49_000 },
  { vendor: 'onguard', what: 'OnGuard doors', type: 'DOOR', atLeast: 5_000, devices: 22_000 },
] as const;

const KIB_PER_MB = 1_024;

async function syncInstallation(
  dir: string,
  { vendor, what, type, atLeast, devices }: (typeof INSTALLATIONS)[number],
): Promise<Figure> {
  const simulators = startChild<SimulatorCalls>('simulator-child.ts', 1);
  const product = startChild<ProductCalls>('product-child.ts', 0);
  try {
    const [platform] = await simulators.call('start', { vendor, devices, orgs: 1, settings: {} });
    if (platform === undefined) throw new Error('there is no platform');
    await product.call('start', { dir: join(dir, vendor), platforms: 'http', vendor });
    const { integrations } = await product.call('fillHeld', [platform]);
    const idleKib = await product.call('peakKib', undefined);
    const { run, cpuMs } = await product.call('sync', { integrationId: integrations[0]?.id ?? '', key: 'first' });
    const peakKib = await product.call('peakKib', undefined);
    const found = await product.call('countOf', type);
    if (run?.state !== 'SUCCEEDED') throw new Error(`the sync of ${vendor} ended as ${JSON.stringify(run)}`);
    const memory = `${count(peakKib / KIB_PER_MB)} MB resident at most, ${count(idleKib / KIB_PER_MB)} MB before`;
    return {
      what: `first sync with ${count(found)} ${what} (${count(run.listed)} devices)`,
      value: `${(run.ms / 1_000).toFixed(1)} s, ${(cpuMs / 1_000).toFixed(1)} CPU s, ${memory}`,
      target: { text: `${count(atLeast)} ${what}`, isMet: found >= atLeast },
    };
  } finally {
    await product.stop();
    await simulators.stop();
  }
}

/** Large installations, read over their wire protocols: time and memory of the process that reads them. */
export async function benchPlatforms(): Promise<PartResult> {
  const dir = mkdtempSync(join(tmpdir(), 'convergraph-bench-'));
  try {
    const figures: Figure[] = [];
    for (const installation of INSTALLATIONS) figures.push(await syncInstallation(dir, installation));
    return {
      title: 'Large installations',
      figures,
      notes: [
        'The whole product in one process, SQLite with synchronous=FULL; the simulated platform in another process.',
      ],
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
