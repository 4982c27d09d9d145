import type { AccessOutcome, Severity } from '../words.ts';
import { type EventType, eventType } from './event-type.ts';

function access(name: string, severity: Severity, outcome: AccessOutcome, description: string): EventType {
  const example = outcome === 'GRANTED' || outcome === 'DENIED' ? { outcome, credentialHint: '…4711' } : { outcome };
  return eventType(`access.${name}`, 'ACCESS', severity, description, { example });
}

/** What happens at doors. */
export const ACCESS_TYPES: readonly EventType[] = [
  access('granted', 'INFO', 'GRANTED', 'A credential was accepted.'),
  access('denied', 'NOTICE', 'DENIED', 'A credential was refused.'),
  access('taken', 'INFO', 'GRANTED', 'Somebody passed after access was granted.'),
  access('not_taken', 'INFO', 'OTHER', 'Access was granted and nobody passed.'),
  access('duress', 'CRITICAL', 'OTHER', 'Somebody opened under duress.'),
  access('forced_open', 'CRITICAL', 'FORCED_OPEN', 'The door was opened without permission.'),
  access('held_open', 'WARNING', 'HELD_OPEN', 'The door stands open too long.'),
  access('opened', 'INFO', 'OTHER', 'The door was opened; whether that was allowed is not known.'),
  access('closed', 'INFO', 'CLOSED', 'The door is closed, or secure again.'),
  access('unlocked', 'INFO', 'UNLOCKED', 'The door was unlocked.'),
  access('locked', 'INFO', 'LOCKED', 'The door was locked.'),
  access('other', 'INFO', 'OTHER', 'An access event whose kind no table knows; `vendorCode` has the word.'),
];
