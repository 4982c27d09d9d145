import { firePanel } from './fire-panel.ts';
import { MADE_UP } from './made-up.ts';
import { AT_PLATFORMS } from './platforms.ts';
import type { Scenario } from './scenario.ts';

/** Everything that `--scenario` knows. */
export const SCENARIOS: readonly Scenario[] = [...MADE_UP, ...AT_PLATFORMS, firePanel];

/** One line per scenario, for people. */
export function describeScenarios(): string {
  const width = Math.max(...SCENARIOS.map(({ name }) => name.length));
  return SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n');
}
