import { knownReason, knownState } from '../status/device-row.ts';
import { lastingRow, type Unnumbered } from './event-rows.ts';

/** One line for people. */
const MAX_SUMMARY = 500;

/** A device has not come back, and what kept quiet about it is over. It is no change: the device was in this state before. */
export function stillDownRow(conclusion: Parameters<typeof lastingRow>[0]): Unnumbered {
  const { device } = conclusion;
  const state = knownState(device.state);
  const reason = knownReason(device.state_reason);
  const row = lastingRow(conclusion, { before: state, after: state, reason, at: device.state_since });
  return {
    ...row,
    type: reason === 'SILENCE' ? 'health.silent' : row.type,
    changed: 0,
    summary: `${device.name} is still ${state.toLowerCase()}, and nothing else explains it any more`.slice(
      0,
      MAX_SUMMARY,
    ),
  };
}
