import type { Severity } from '../words.ts';
import { type EventType, eventType } from './event-type.ts';

const RESTORAL = { example: { restoral: true } } as const;

function alarm(
  name: string,
  severity: Severity,
  description: string,
  rest: Parameters<typeof eventType>[4] = {},
): EventType {
  return eventType(`alarm.${name}`, 'ALARM', severity, description, rest);
}

/** Alarm, trouble and tamper, and back to normal. */
export const ALARM_TYPES: readonly EventType[] = [
  alarm('triggered', 'CRITICAL', 'An alarm whose kind the platform does not tell.'),
  alarm('intrusion', 'CRITICAL', 'Somebody or something is where nobody should be.', {
    // A vehicle or mere movement is told apart from a person by some platforms.
    otherSeverities: ['WARNING'],
    example: { siaCode: 'BA', contactIdCode: '1130', zone: '4', actors: [{ kind: 'person', confidence: 0.93 }] },
  }),
  alarm('line_crossed', 'NOTICE', 'A line in the picture was crossed.'),
  alarm('crowd', 'NOTICE', 'A crowd was detected.'),
  alarm('vehicle_stopped', 'NOTICE', 'A vehicle stopped where it should not.'),
  alarm('external_motion', 'NOTICE', 'A motion sensor next to the device fired.'),
  alarm('fire', 'CRITICAL', 'Fire was detected.', { example: { siaCode: 'FA', contactIdCode: '1110', zone: '12' } }),
  alarm('smoke', 'CRITICAL', 'Smoke was detected.'),
  alarm('water_leak', 'CRITICAL', 'A water leak was detected.'),
  alarm('panic', 'CRITICAL', 'Somebody asks for help: panic, hold-up or duress.', {
    example: { siaCode: 'PA', contactIdCode: '1120' },
  }),
  alarm('medical', 'CRITICAL', 'A medical emergency was reported.', {
    example: { siaCode: 'MA', contactIdCode: '1100' },
  }),
  alarm('technical', 'WARNING', 'A technical alarm: water, gas, temperature.'),
  alarm('restored', 'NOTICE', 'An alarm is over.', { example: { restoral: true, siaCode: 'BR' } }),
  alarm('trouble', 'WARNING', 'The device or panel reports a fault of itself or its wires.', {
    example: { siaCode: 'BT' },
  }),
  alarm('trouble_restored', 'NOTICE', 'The fault is mended.', RESTORAL),
  alarm('supervisory', 'WARNING', 'A supervisory condition of a fire system, for example a closed valve.'),
  alarm('supervisory_restored', 'NOTICE', 'The supervisory condition is over.', RESTORAL),
  alarm('tamper', 'CRITICAL', 'The device is being tampered with.', {
    otherSeverities: ['WARNING'],
    claim: { state: 'DEGRADED', reason: 'TAMPER' },
    example: { siaCode: 'TA' },
  }),
  alarm('tamper_restored', 'NOTICE', 'The device is no longer tampered with.', {
    claim: { state: 'ONLINE', reason: 'REPORTED' },
    ...RESTORAL,
  }),
  alarm('lid_opened', 'WARNING', 'The lid of the device is open.'),
  alarm('test', 'INFO', 'The device is being tested.'),
  alarm('test_ended', 'INFO', 'The test is over.', RESTORAL),
  alarm('armed', 'INFO', 'The device or area was armed.', { example: { siaCode: 'CL' } }),
  alarm('disarmed', 'INFO', 'The device or area was disarmed.', { example: { siaCode: 'OP' } }),
  alarm('power_lost', 'NOTICE', 'The auxiliary power is gone; the device runs on its battery.'),
  alarm('power_restored', 'NOTICE', 'The auxiliary power is back.', RESTORAL),
  alarm('charging_fault', 'NOTICE', 'The device cannot charge its battery.'),
  alarm('charging_restored', 'NOTICE', 'The device charges its battery again.', RESTORAL),
  alarm('battery_removed', 'NOTICE', 'The battery was taken out.'),
  alarm('other', 'WARNING', 'An alarm event whose kind no table knows; `vendorCode` has the word.', {
    otherSeverities: ['NOTICE'],
  }),
];
