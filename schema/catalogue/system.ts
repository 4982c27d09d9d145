import type { EventFamily, Severity } from '../words.ts';
import { type EventType, eventType } from './event-type.ts';

function told(name: string, severity: Severity, description: string): EventType {
  return eventType(`system.${name}`, 'SYSTEM', severity, description);
}

/** What we find ourselves. */
function found(
  name: string,
  family: EventFamily,
  severity: Severity,
  description: string,
  rest: Parameters<typeof eventType>[4] = {},
): EventType {
  return eventType(name, family, severity, description, { madeBy: 'CONVERGRAPH', ...rest });
}

function change(name: string, severity: Severity, description: string): EventType {
  return found(`inventory.${name}`, 'INVENTORY', severity, description, { example: { change: name.toUpperCase() } });
}

/** What becomes of platforms, integrations and the inventory. */
export const SYSTEM_TYPES: readonly EventType[] = [
  told('test', 'INFO', 'The platform sent a test.'),
  told('started', 'INFO', 'The platform started.'),
  told('stopped', 'WARNING', 'The platform stopped.'),
  told('settings_error', 'NOTICE', 'A device did not take its settings.'),
  told('failover_started', 'WARNING', 'Devices run on their failover server.'),
  told('failover_stopped', 'NOTICE', 'Devices run on their own server again.'),
  eventType('system.trouble', 'SYSTEM', 'WARNING', 'A server or service of the platform is in trouble.', {
    otherSeverities: ['CRITICAL', 'INFO'],
  }),
  told('trouble_restored', 'NOTICE', 'A server or service of the platform is well again.'),
  eventType(
    'vendor.*',
    'SYSTEM',
    'INFO',
    'An event of a code that no table knows, kept with its word behind `vendor.`.',
    {
      otherSeverities: ['NOTICE', 'WARNING', 'CRITICAL'],
    },
  ),

  found('system.integration_connected', 'SYSTEM', 'NOTICE', 'The platform answers completely.'),
  found('system.integration_degraded', 'SYSTEM', 'WARNING', 'The platform does not answer completely.'),
  found(
    'system.integration_reauth_required',
    'SYSTEM',
    'CRITICAL',
    'The platform refused our credentials; nothing is polled until new ones are given.',
  ),
  found('system.integration_disabled', 'SYSTEM', 'NOTICE', 'The integration was switched off.'),
  found(
    'system.polling_fallback_started',
    'SYSTEM',
    'WARNING',
    'The platform fell silent; its inventory is polled until it is heard again.',
  ),
  found('system.polling_fallback_ended', 'SYSTEM', 'NOTICE', 'The platform is heard again; polling stopped.'),
  found(
    'integration.silent',
    'SYSTEM',
    'WARNING',
    'Nothing arrives for too long from a platform that cannot be asked.',
  ),
  found('integration.heard', 'SYSTEM', 'NOTICE', 'A platform that was silent is heard again.'),
  found(
    'incident.opened',
    'SYSTEM',
    'WARNING',
    'One failure explains others: a device, a platform, or the power of a site.',
    {
      otherSeverities: ['CRITICAL'],
      example: { detail: { incidentId: 'inc_7c1f', cause: 'SITE_POWER', rootKind: 'SITE', affected: 14 } },
    },
  ),
  found('incident.closed', 'SYSTEM', 'NOTICE', 'The failure that explained others is over.', {
    example: { detail: { incidentId: 'inc_7c1f', cause: 'SITE_POWER', rootKind: 'SITE', affected: 14 } },
  }),
  found('system.clock_skewed', 'SYSTEM', 'WARNING', "The source's clock is wrong.", {
    example: { detail: { skewMs: -42_000 } },
  }),
  found('system.clock_corrected', 'SYSTEM', 'NOTICE', "The source's clock is right again."),
  found(
    'system.account_changed',
    'SYSTEM',
    'CRITICAL',
    'The credentials show another vendor account than the one that was connected; nothing is read until new ones are given.',
    { example: { detail: { accountId: 'account-2', previousAccountId: 'account-1' } } },
  ),
  found(
    'system.event_ids_missing',
    'SYSTEM',
    'NOTICE',
    'The platform delivers events without ids; repetitions are known by what they say. Told once a day.',
    { example: { detail: { events: 3, of: 3 } } },
  ),
  found(
    'system.custom_event_failed',
    'SYSTEM',
    'WARNING',
    'An event could not be created at the platform of a device that watches its source.',
  ),

  change('added', 'INFO', 'A device is listed for the first time.'),
  change('updated', 'INFO', 'A device was changed.'),
  change('moved', 'INFO', 'A device came to another site.'),
  change('removed', 'NOTICE', 'A device is no longer listed.'),
  change('restored', 'NOTICE', 'A device that was gone is listed again.'),
  eventType('inventory.changed', 'INVENTORY', 'INFO', 'The platform says that its configuration changed.', {
    example: { change: 'cameras/7f3d' },
  }),
];
