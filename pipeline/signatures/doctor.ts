// Says why a signature was refused: tries the mistakes that senders usually make and names the one that would have made
// it. It accepts nothing, and nothing that it says holds a secret or a signature.
import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { SignatureProfile } from '../../schema/words.ts';
import { ALGORITHMS, type Algorithm, type Attempt, attemptsOf, macOf } from './doctor/attempts.ts';
import { bodyForms } from './doctor/bodies.ts';
import { keyForms } from './doctor/keys.ts';
import { SIGNED, type Surroundings } from './doctor/messages.ts';
import {
  type Encoding,
  findId,
  findTimestamp,
  type Form,
  FORMS,
  type Offered,
  readOffered,
  type SigningProfile,
} from './doctor/offered.ts';
import { pathFindings } from './doctor/path-secret.ts';
import { PROOF_READERS } from './profiles.ts';
import { createVerifier, signingKey } from './verifier.ts';

/** A secret that the delivery may have been signed with. */
export interface KnownSecret {
  readonly text: string;
  /** Milliseconds since the epoch, when it ended; null: it counts. */
  readonly endedAt: number | null;
  /** Of another integration of the same org; null: of the one that was called. */
  readonly otherIntegrationId: string | null;
}

/** A delivery that was refused for its signature. */
export interface Patient {
  readonly profile: SignatureProfile;
  readonly headers: IncomingHttpHeaders;
  /** As received; of at most MAX_EXAMINED_BYTES. */
  readonly body: Buffer;
  /** Path and query, as requested. */
  readonly target: string;
  /** What followed the integration in the path. */
  readonly pathSecret: string;
  readonly secrets: readonly KnownSecret[];
}

/**
 * Bodies beyond it are not examined: an event is some kilobytes, each attempt reads all of it, and rewriting it in all
 * ways is one step that holds up everybody else; at this size for some ten milliseconds.
 */
export const MAX_EXAMINED_BYTES = 16 * 1_024;
/** Attempts per delivery, over all secrets: some 20 ms for an event, twice that for the longest body. */
export const MAX_ATTEMPTS = 600;
const SIGNING_PROFILES: readonly SigningProfile[] = [
  'CONTRACT_V1',
  'TIMESTAMPED_HMAC',
  'STANDARD_WEBHOOKS',
  'MILESTONE_NATIVE',
];

interface Match {
  readonly mistakes: readonly string[];
}

function fewer(best: Match | null, match: Match): Match {
  return best === null || match.mistakes.length < best.mistakes.length ? match : best;
}

function whose({ endedAt, otherIntegrationId }: KnownSecret): readonly string[] {
  return [
    ...(otherIntegrationId === null
      ? []
      : [`it was made with the secret of another integration (${otherIntegrationId}); each has its own`]),
    ...(endedAt === null
      ? []
      : [`it was made with a secret that ended at ${new Date(endedAt).toISOString()}; use the current one`]),
  ];
}

/** Whether the delivery is flawless in the eyes of one profile, this one or another. */
function judgedAs(profile: SigningProfile, patient: Patient, secret: KnownSecret): boolean {
  const key = { id: 'tried', key: signingKey(profile, secret.text), expiresAt: null };
  const proof = PROOF_READERS[profile](patient.headers);
  // As if it had come when it says that it was sent: how old it is is not what is asked here.
  const at = (proof?.timestamp ?? 0) * 1_000;
  return createVerifier(profile, [key], 1).check(patient.headers, patient.body, at).isAuthentic;
}

function wholeProfiles(patient: Patient): Match | null {
  let best: Match | null = null;
  for (const secret of patient.secrets) {
    for (const profile of SIGNING_PROFILES) {
      // Without a timestamp under the signature, the contract's proof and the timestamped one share their headers.
      if (!judgedAs(profile, patient, secret)) continue;
      const other =
        profile === patient.profile
          ? []
          : [
              `it is signed as profile ${profile} and the integration is set to ${patient.profile}: sign ${
                patient.profile === 'PATH_SECRET' ? 'nothing and put the secret into the path' : SIGNED[patient.profile]
              }, or let the operator change the profile`,
            ];
      best = fewer(best, { mistakes: [...other, ...whose(secret)] });
    }
  }
  return best;
}

const ENCODINGS: Readonly<Record<Encoding, string>> = {
  hex: 'hexadecimal',
  base64: 'Base64',
  base64url: 'Base64 for addresses, or without padding',
  'hex in base64': 'Base64 of hexadecimal text',
};

function offeredMistakes(form: Form, offered: Offered): readonly string[] {
  const { header, label, encoding } = offered;
  return [
    ...(header === form.header ? [] : [`the signature stands in ${header} in place of ${form.header}`]),
    ...(label === form.label
      ? []
      : [`the signature lacks "${form.label}${form.label === 'v1' ? ',' : '='}" before it`]),
    ...(form.encodings.includes(encoding)
      ? []
      : [
          `the signature is ${ENCODINGS[encoding]} in place of ${form.encodings.map((name) => ENCODINGS[name]).join(' or ')}`,
        ]),
  ];
}

function timestampMistakes({ timestampHeader }: Form, headers: IncomingHttpHeaders): readonly string[] {
  if (timestampHeader === null) return [];
  const found = findTimestamp(headers, timestampHeader);
  if (found === null) return [`the header ${timestampHeader} is missing`];
  const misplaced =
    found.header === timestampHeader ? [] : [`the timestamp stands in ${found.header} in place of ${timestampHeader}`];
  if (/^\d{1,12}$/.test(found.text)) return misplaced;
  const unit = /^\d{13}$/.test(found.text) ? 'milliseconds' : 'another notation';
  return [...misplaced, `the timestamp is written in ${unit} in place of Unix seconds`];
}

function idMistakes({ idHeader }: Form, headers: IncomingHttpHeaders): readonly string[] {
  if (idHeader === null) return [];
  const found = findId(headers, idHeader);
  if (found === null) return [`the header ${idHeader} is missing`];
  if (found.header !== idHeader) return [`the id stands in ${found.header} in place of ${idHeader}`];
  return /^[\w:-]{1,128}$/.test(found.text)
    ? []
    : [`${idHeader} has characters beyond letters, digits, "_", ":" and "-"`];
}

function attemptMistakes(
  profile: SigningProfile,
  { key, message, body, way }: Attempt,
  algorithm: Algorithm,
): string[] {
  return [
    ...(way.mistake === null ? [] : [way.mistake]),
    ...(algorithm === 'sha256' ? [] : [`the algorithm is ${algorithm.toUpperCase()} in place of SHA-256`]),
    ...(message.id === SIGNED[profile]
      ? []
      : [`what was signed is ${message.id}; profile ${profile} signs ${SIGNED[profile]}`]),
    ...(body.mistake === null ? [] : [body.mistake]),
    ...(key.mistake === null ? [] : [key.mistake]),
  ];
}

/** Yields before every attempt, with the bytes that it hashes, so that a caller can let others have their turn. */
function* tryMistakes(
  profile: SigningProfile,
  patient: Patient,
  offered: readonly Offered[],
): Generator<number, Match | null, void> {
  const { headers, body, target } = patient;
  const form = FORMS[profile];
  const around: Surroundings = {
    timestamp: findTimestamp(headers, form.timestampHeader)?.text ?? '',
    id: findId(headers, form.idHeader)?.text ?? '',
    target,
  };
  const beside = [...timestampMistakes(form, headers), ...idMistakes(form, headers)];
  const algorithms = new Set(offered.flatMap(({ bytes }) => ALGORITHMS.get(bytes.length) ?? []));
  const bodies = bodyForms(body);
  let best: Match | null = null;
  let tries = 0;
  for (const secret of patient.secrets) {
    const isWeak = secret.endedAt !== null || secret.otherIntegrationId !== null;
    for (const attempt of attemptsOf(profile, keyForms(profile, secret.text), bodies, isWeak)) {
      for (const algorithm of algorithms) {
        tries += 1;
        // No early end when one was found: how long it takes tells nothing.
        if (tries > MAX_ATTEMPTS) return best;
        yield attempt.body.bytes.length;
        const mac = macOf(attempt, algorithm, around);
        for (const each of offered) {
          if (each.bytes.length !== mac.length || !timingSafeEqual(each.bytes, mac)) continue;
          const own = attemptMistakes(profile, attempt, algorithm);
          best = fewer(best, { mistakes: [...own, ...offeredMistakes(form, each), ...beside, ...whose(secret)] });
        }
      }
    }
  }
  return best;
}

const UNKNOWN =
  'No usual mistake would have made this signature: the secret is another one, or the body was changed on its way. Compare the secret (rotateWebhookSecret makes a new one) and let no proxy touch the body.';

function sentences(match: Match): readonly string[] {
  const [first, ...others] = match.mistakes;
  if (first === undefined) return ['The signature is right and its headers are not in the form of the profile.'];
  if (others.length === 0) return [`The signature would have passed but for one thing: ${first}.`];
  return [
    `The signature would have passed but for ${match.mistakes.length} things:`,
    ...match.mistakes.map((each) => `${each}.`),
  ];
}

/** What can be seen without a match. */
function observations(profile: SigningProfile, { headers }: Patient, offered: readonly Offered[]): readonly string[] {
  const form = FORMS[profile];
  const own = offered.filter(({ header }) => header === form.header);
  const seen = [...timestampMistakes(form, headers), ...idMistakes(form, headers)];
  if (headers[form.header] === undefined) seen.unshift(`the header ${form.header} is missing`);
  else if (own.length === 0) seen.unshift(`${form.header} holds nothing that has the length of a signature`);
  return seen.map((text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`);
}

/**
 * Examines a refused delivery in steps. Each step is one hash at the most; the whole is bounded by MAX_ATTEMPTS.
 *
 * @returns by the last step: sentences for the operator, never empty
 */
export function* examineSignature(patient: Patient): Generator<number, readonly string[], void> {
  if (patient.body.length > MAX_EXAMINED_BYTES) {
    return [`The body is longer than the ${MAX_EXAMINED_BYTES / 1_024} KiB up to which mistakes are looked for.`];
  }
  const whole = wholeProfiles(patient);
  if (whole !== null && whole.mistakes.length > 0) return sentences(whole);
  const { profile } = patient;
  if (profile === 'PATH_SECRET') return pathFindings(patient);
  const offered = readOffered(patient.headers, FORMS[profile].header);
  if (offered.length === 0)
    return [...observations(profile, patient, offered), 'A delivery without a signature is refused.'];
  const match = yield* tryMistakes(profile, patient, offered);
  return match === null ? [...observations(profile, patient, offered), UNKNOWN] : sentences(match);
}

/** The same at once, for who has the time. */
export function diagnoseSignature(patient: Patient): readonly string[] {
  const steps = examineSignature(patient);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
