/**
 * The service writes instants in UTC and without a zone: `2026-11-18T06:12:41`, or with up to six digits of a second.
 * Whoever parses that as it stands shifts every event by the zone of his own machine.
 */
const INSTANT = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?$/;

/** @returns null for what is no instant, a 30th of February included */
export function parseTime(text: string): Date | null {
  const match = INSTANT.exec(text.trim());
  if (match === null) return null;
  const [, day = '', time = '', fraction = '', zone = 'Z'] = match;
  const at = new Date(`${day}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}${zone}`);
  if (Number.isNaN(at.getTime())) return null;
  // Date takes the 31st of a short month for the 1st of the next; without a zone nothing else can move the day.
  return zone === 'Z' && at.toISOString().slice(0, 10) !== day ? null : at;
}

/** As the service takes instants: UTC, without saying so. */
export function formatTime(at: Date): string {
  return at.toISOString().slice(0, -1);
}
