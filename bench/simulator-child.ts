import type { Simulator } from '../adapter-kit/simulator.ts';
import { SANDBOX_ORGS, splitDevices } from '../sandbox/world.ts';
import { answerCalls } from './child.ts';
import { type BenchPlatform, realVendor, vendorOf } from './memory-platform.ts';

// Simulated platforms over HTTP, away from the process that is measured.

const SEED = 20_261_120;
let simulators: readonly Simulator[] = [];

const calls = {
  /**
   * @param devices of all platforms together
   * @param orgs how many of the sandbox's
   * @param settings of the integrations that are to speak to them
   */
  async start(options: {
    readonly devices: number;
    readonly orgs: number;
    readonly settings: Readonly<Record<string, unknown>>;
    /** Slug; default vendor-cloud. */
    readonly vendor?: string;
  }): Promise<readonly BenchPlatform[]> {
    const orgs = SANDBOX_ORGS.slice(0, options.orgs);
    const counts = splitDevices(
      options.devices,
      orgs.map(() => 1 / orgs.length),
    );
    const platform = await (options.vendor === undefined ? realVendor : vendorOf(options.vendor)).simulator();
    const started = orgs.map(async ({ name, sites }, at) => {
      const accountId = `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`;
      const devices = counts[at] ?? 1;
      const common = { port: 0, stateFile: null, now: () => new Date() };
      return platform.startSimulator({ seed: SEED + at, accountId, accountName: name, sites, devices, ...common });
    });
    simulators = await Promise.all(started);
    return simulators.map((simulator, at) => ({
      orgKey: orgs[at]?.key ?? '',
      integration: { ...simulator.integration, settings: { ...simulator.integration.settings, ...options.settings } },
      sites: simulator.sites(),
      deviceCount: simulator.devices().length,
    }));
  },
};

export type SimulatorCalls = typeof calls;

answerCalls(calls, async () => {
  await Promise.all(simulators.map((simulator) => simulator.close()));
});
