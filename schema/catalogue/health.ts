import { type EventType, eventType } from './event-type.ts';

/** Devices come, go, and are not well; and the signs of life between. */
export const HEALTH_TYPES: readonly EventType[] = [
  eventType('health.online', 'HEALTH', 'NOTICE', 'The device is connected and works.', {
    claim: { state: 'ONLINE', reason: 'REPORTED' },
  }),
  eventType('health.offline', 'HEALTH', 'WARNING', 'The device cannot be reached, or was stopped.', {
    otherSeverities: ['NOTICE'],
    claim: { state: 'OFFLINE', reason: 'NETWORK' },
  }),
  eventType('health.degraded', 'HEALTH', 'WARNING', 'The device works with a fault.', {
    claim: { state: 'DEGRADED', reason: 'OTHER' },
  }),
  eventType('health.unknown', 'HEALTH', 'NOTICE', 'Nobody can tell how the device is.', {
    claim: { state: 'UNKNOWN', reason: null },
  }),
  eventType(
    'health.connection_changed',
    'HEALTH',
    'NOTICE',
    'The connection changed and the platform does not say how.',
  ),
  eventType('health.battery_low', 'HEALTH', 'WARNING', 'The battery is low.', {
    claim: { state: 'DEGRADED', reason: 'POWER' },
  }),
  eventType('health.battery_restored', 'HEALTH', 'NOTICE', 'The battery is good again.', {
    otherSeverities: ['INFO'],
    claim: { state: 'ONLINE', reason: 'REPORTED' },
  }),
  eventType('health.battery_shutdown', 'HEALTH', 'CRITICAL', 'The device switched itself off: its battery is empty.', {
    claim: { state: 'OFFLINE', reason: 'POWER' },
  }),
  eventType('health.silent', 'HEALTH', 'WARNING', 'The device has not been heard for longer than usual.', {
    madeBy: 'CONVERGRAPH',
    claim: { state: 'UNKNOWN', reason: 'SILENCE' },
    example: { detail: { lastSeenAt: '2026-02-04T12:02:00.000Z' } },
  }),
  eventType('health.flapping_started', 'HEALTH', 'WARNING', 'The state of the device changes too often.', {
    madeBy: 'CONVERGRAPH',
  }),
  eventType(
    'health.flapping_stopped',
    'HEALTH',
    'NOTICE',
    'The state of the device changes no more than usual again.',
    {
      madeBy: 'CONVERGRAPH',
    },
  ),
  eventType('supervision.last_seen', 'SUPERVISION', 'INFO', 'The device proved that it is alive.', {
    example: { intervalSeconds: 3_600 },
  }),
  eventType('supervision.report', 'SUPERVISION', 'INFO', 'A sensor reported without anything new.'),
];
