import type { Stage, StageDevice } from './stage.ts';

/** What a scenario did, for people. */
export interface ScenarioReport {
  /** What was made to happen, one line each. */
  readonly done: readonly string[];
  /** What to look at, as an operation of the playground. */
  readonly watch: string;
}

/** A sandbox that a scenario cannot be made to happen in; the message says what is missing. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError';
}

/** Something that goes wrong in the field, made to happen in the sandbox. */
export interface Scenario {
  /** As `--scenario` has it. */
  readonly name: string;
  /** What happens, in a sentence. */
  readonly summary: string;
  run(stage: Stage): Promise<ScenarioReport>;
}

/** @throws ScenarioError when the sandbox has fewer */
export function some(devices: readonly StageDevice[], count: number): readonly StageDevice[] {
  if (devices.length < count) throw new ScenarioError(`this scenario needs ${count} devices that are online`);
  return devices.slice(0, count);
}

export async function onlineDevices(stage: Stage): Promise<readonly StageDevice[]> {
  return (await stage.devices()).filter(({ state }) => state === 'ONLINE');
}

export function quoted(ids: readonly string[]): string {
  return JSON.stringify(ids);
}
