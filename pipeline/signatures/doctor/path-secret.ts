// The doctor's part for platforms that cannot sign: where the secret stands, if not where it should.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Patient } from '../doctor.ts';

const MAX_HEADERS = 40;
const MAX_CHARACTERS = 512;

function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Ways in which the path's text may have come to differ from the secret. */
const SLIPS: readonly (readonly [string, (given: string, secret: string) => boolean])[] = [
  ['the secret in the path has ended', (given, secret) => isSame(given, secret)],
  ['the secret in the path is percent-encoded', (given, secret) => isSame(decoded(given), secret)],
  ['a slash stands behind the secret in the path', (given, secret) => isSame(given.replace(/\/+$/, ''), secret)],
  ['something stands behind the secret in the path', (given, secret) => isSame(given.split('/')[0] ?? '', secret)],
  ['white space stands at the secret in the path', (given, secret) => isSame(decoded(given).trim(), secret)],
  [
    'quotes or brackets stand around the secret in the path',
    (given, secret) => isSame(decoded(given).replaceAll(/^["'<{[]+|["'>}\]]+$/g, ''), secret),
  ],
  [
    'the secret in the path is in other letters, small or capital',
    (given, secret) => isSame(given.toLowerCase(), secret.toLowerCase()),
  ],
];

function elsewhere({ headers, target }: Patient, secret: string): string | null {
  for (const [name, value] of Object.entries(headers).slice(0, MAX_HEADERS)) {
    const words = String(value ?? '')
      .slice(0, MAX_CHARACTERS)
      .split(/[\s,;=:]+/);
    const basic =
      words[0]?.toLowerCase() === 'basic'
        ? Buffer.from(words[1] ?? '', 'base64')
            .toString('utf8')
            .split(':')
        : [];
    if ([...words, ...basic].some((word) => isSame(word, secret)))
      return `the secret stands in the header ${name} and not in the path`;
  }
  const query = new URLSearchParams(target.split('?')[1]?.slice(0, MAX_CHARACTERS) ?? '');
  return [...query.values()].some((value) => isSame(value, secret))
    ? 'the secret stands in the query and not in the path'
    : null;
}

/** @returns sentences for the operator, never empty */
export function pathFindings(patient: Patient): readonly string[] {
  const given = patient.pathSecret.slice(0, MAX_CHARACTERS);
  for (const { text, endedAt, otherIntegrationId } of patient.secrets) {
    const slip = given === '' ? undefined : SLIPS.find(([, fits]) => fits(given, text));
    if (slip !== undefined) {
      const isExact = isSame(given, text);
      if (isExact && otherIntegrationId !== null)
        return [`The secret in the path is that of another integration (${otherIntegrationId}); each has its own.`];
      if (isExact && endedAt !== null)
        return [`The secret in the path ended at ${new Date(endedAt).toISOString()}; use the current one.`];
      if (!isExact) return [`The delivery would have passed but for one thing: ${slip[0]}.`];
    }
    const place = elsewhere(patient, text);
    if (place !== null) return [`The delivery would have passed but for one thing: ${place}.`];
  }
  return given === ''
    ? ['No secret follows the integration in the path: call <address>/<secret>.']
    : [
        'What follows the integration in the path is no secret of this integration, whole or changed. Compare it with the one that was shown.',
      ];
}
