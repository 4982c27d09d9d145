// Which combinations of usual mistakes are tried, and how a MAC is made of each. Bounded, whatever was delivered.
import { createHash, createHmac } from 'node:crypto';
import type { BodyForm } from './bodies.ts';
import type { KeyForm } from './keys.ts';
import { MESSAGES, type MessageForm, SIGNED, type Surroundings } from './messages.ts';
import type { SigningProfile } from './offered.ts';

export type Algorithm = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512';

export const ALGORITHMS: ReadonlyMap<number, Algorithm> = new Map([
  [16, 'md5'],
  [20, 'sha1'],
  [32, 'sha256'],
  [48, 'sha384'],
  [64, 'sha512'],
]);

type Maker = (algorithm: Algorithm, key: Buffer, parts: readonly (string | Buffer)[]) => Buffer;

export interface Way {
  /** Null: an HMAC, as every profile wants it. */
  readonly mistake: string | null;
  readonly make: Maker;
}

const hmac: Maker = (algorithm, key, parts) => {
  const mac = createHmac(algorithm, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
};

const hash = (algorithm: Algorithm, parts: readonly (string | Buffer)[]): Buffer => {
  const digest = createHash(algorithm);
  for (const part of parts) digest.update(part);
  return digest.digest();
};

const HMAC: Way = { mistake: null, make: hmac };

const OTHER_WAYS: readonly Way[] = [
  { mistake: 'it is a hash of secret and body, not an HMAC', make: (name, key, parts) => hash(name, [key, ...parts]) },
  { mistake: 'it is a hash of body and secret, not an HMAC', make: (name, key, parts) => hash(name, [...parts, key]) },
  { mistake: 'it is a hash without a secret, not an HMAC', make: (name, _key, parts) => hash(name, parts) },
  {
    mistake: 'it was signed twice: it is the HMAC of the HMAC in hexadecimal',
    make: (name, key, parts) => hmac(name, key, [hmac(name, key, parts).toString('hex')]),
  },
  {
    mistake: 'it was signed twice: it is the HMAC of the HMAC',
    make: (name, key, parts) => hmac(name, key, [hmac(name, key, parts)]),
  },
  {
    mistake: 'key and message are exchanged in the call of HMAC',
    make: (name, key, parts) => hmac(name, Buffer.concat(parts.map((part) => Buffer.from(part))), [key]),
  },
];

/** One thing to try. */
export interface Attempt {
  readonly key: KeyForm;
  readonly message: MessageForm;
  readonly body: BodyForm;
  readonly way: Way;
}

/** Secret forms and body forms that are tried together: two mistakes at once are these. */
const PAIRED_KEYS = 3;
const PAIRED_BODIES = 18;

function usualMessages(profile: SigningProfile): readonly MessageForm[] {
  const own = MESSAGES.filter(({ id }) => id === SIGNED[profile]);
  const others = MESSAGES.slice(0, 3).filter(({ id }) => id !== SIGNED[profile]);
  return [...own, ...others];
}

/**
 * What is tried with one secret, the fewest mistakes first: some 250 attempts.
 *
 * @param isEnded a secret that no longer counts is tried with less: that it has ended is one mistake already
 */
export function* attemptsOf(
  profile: SigningProfile,
  keys: readonly KeyForm[],
  bodies: readonly BodyForm[],
  isEnded: boolean,
): Generator<Attempt, void, void> {
  const [right] = keys;
  const [sent] = bodies;
  if (right === undefined || sent === undefined) return;
  const usual = usualMessages(profile);
  const own = usual.slice(0, 1);
  const rest = MESSAGES.filter((message) => !usual.includes(message));
  for (const message of [...usual, ...rest]) yield { key: right, message, body: sent, way: HMAC };
  for (const body of bodies.slice(1))
    for (const message of isEnded ? own : usual) yield { key: right, message, body, way: HMAC };
  if (isEnded) return;
  for (const key of keys.slice(1)) for (const message of usual) yield { key, message, body: sent, way: HMAC };
  for (const way of OTHER_WAYS)
    for (const key of keys.slice(0, 2)) for (const message of usual) yield { key, message, body: sent, way };
  for (const key of keys.slice(1, 1 + PAIRED_KEYS))
    for (const body of bodies.slice(1, 1 + PAIRED_BODIES))
      for (const message of own) yield { key, message, body, way: HMAC };
}

/** The MAC that a sender with these mistakes would have made. */
export function macOf({ key, message, body, way }: Attempt, algorithm: Algorithm, around: Surroundings): Buffer {
  const [before, after] = message.wrap(around);
  return way.make(algorithm, key.bytes, [before, message.content?.(body.bytes) ?? body.bytes, after]);
}
