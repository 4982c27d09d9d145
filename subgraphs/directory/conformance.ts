import type { ConformanceGrade } from '../../schema/words.ts';
import type { ConformanceFacts } from '../../storage/conformance-facts.ts';

// How well a platform keeps its side, judged by what it did. Pure: facts in, named checks and a grade out.

export interface ConformanceCheck {
  readonly id: string;
  readonly title: string;
  readonly state: 'PASS' | 'WARN' | 'FAIL' | 'SKIPPED';
  readonly detail: string | null;
}

export interface Conformance {
  readonly grade: ConformanceGrade;
  /** Mutable because generated resolver types are. */
  readonly checks: ConformanceCheck[];
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
}

type Verdict = readonly [state: ConformanceCheck['state'], detail: string | null];

/** Repetitions are what a careful sender makes after a lost answer; this many are a sender that does not listen. */
const MANY_REPEATS = 0.2;
/** Some events overtake others on any network. */
const MANY_LATE = 0.05;
/** One refused delivery in a hundred is an accident, such as a secret that was just replaced. */
const MANY_REJECTED = 0.01;
/** Codes that a release of the platform may bring along. */
const MANY_CODES = 20;
/** Deliveries that wait for a repair. */
const MANY_LETTERS = 100;

const PASS: Verdict = ['PASS', null];
const NOTHING_YET: Verdict = ['SKIPPED', 'Nothing has arrived within 24 hours.'];

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

function signature({ signatureProfile }: ConformanceFacts): Verdict {
  if (signatureProfile === null) return ['SKIPPED', 'It delivers no webhooks.'];
  if (signatureProfile === 'PATH_SECRET') return ['WARN', 'A secret in the address is all that proves the sender.'];
  return PASS;
}

function accepted({ events, rejected }: ConformanceFacts): Verdict {
  const all = events + rejected;
  if (all === 0) return NOTHING_YET;
  if (rejected === 0) return PASS;
  return [rejected > MANY_REJECTED * all ? 'FAIL' : 'WARN', `${rejected} were refused (${percent(rejected, all)}).`];
}

function inventory({ lastSyncState }: ConformanceFacts): Verdict {
  if (lastSyncState === null) return ['SKIPPED', 'It was not read yet.'];
  if (lastSyncState === 'SUCCEEDED' || lastSyncState === 'RUNNING') return PASS;
  if (lastSyncState === 'PARTIAL') return ['WARN', 'Parts of it could not be read.'];
  return ['FAIL', 'It could not be read.'];
}

function push({ ingestMode, isSilent, missed }: ConformanceFacts): Verdict {
  if (ingestMode === 'POLL_ONLY') return ['SKIPPED', 'The platform cannot push.'];
  if (isSilent || ingestMode === 'POLLING_FALLBACK_ACTIVE')
    return ['FAIL', 'It is silent for longer than it should be.'];
  return missed === 0 ? PASS : ['WARN', `${missed} differences were found by asking.`];
}

function understood({ deadLetters }: ConformanceFacts): Verdict {
  if (deadLetters === 0) return PASS;
  return [deadLetters > MANY_LETTERS ? 'FAIL' : 'WARN', `${deadLetters} deliveries wait for a repair.`];
}

function codes({ unknownCodes }: ConformanceFacts): Verdict {
  if (unknownCodes === 0) return PASS;
  return [unknownCodes > MANY_CODES ? 'FAIL' : 'WARN', `${unknownCodes} codes are not in our tables.`];
}

function share(part: number, whole: number, many: number, words: string): Verdict {
  if (whole === 0) return NOTHING_YET;
  return part > many * whole ? ['WARN', `${percent(part, whole)} ${words}`] : PASS;
}

const CHECKS: readonly (readonly [id: string, title: string, check: (facts: ConformanceFacts) => Verdict])[] = [
  ['inventory', 'The inventory is read completely', inventory],
  ['signature', 'Deliveries prove who sent them', signature],
  ['accepted', 'Deliveries are signed and dated as agreed', accepted],
  ['push', 'Changes are told when they happen', push],
  ['understood', 'Deliveries can be used', understood],
  ['codes', 'Codes are known', codes],
  [
    'clock',
    'The clock is right',
    ({ isClockOff }) => (isClockOff ? ['WARN', 'It is off by more than a few seconds.'] : PASS),
  ],
  [
    'order',
    'Events come in order',
    ({ late, events }) => share(late, events, MANY_LATE, 'were overtaken by newer ones.'),
  ],
  [
    'repeats',
    'Events come once',
    ({ duplicates, events }) => share(duplicates, duplicates + events, MANY_REPEATS, 'came again.'),
  ],
];

/** Without these nothing that a platform says can be relied on. */
const BASIC: ReadonlySet<string> = new Set(['inventory', 'accepted']);
/** What a good platform may leave open. */
const GOLD_WARNINGS = 1;

function gradeOf(checks: readonly ConformanceCheck[]): ConformanceGrade {
  const failed = checks.filter(({ state }) => state === 'FAIL');
  const basics = checks.filter(({ id }) => BASIC.has(id));
  if (basics.every(({ state }) => state === 'SKIPPED') || failed.some(({ id }) => BASIC.has(id))) return 'NONE';
  if (failed.length > 0) return 'BRONZE';
  const warnings = checks.filter(({ state }) => state === 'WARN').length;
  if (warnings === 0) return 'PLATINUM';
  return warnings <= GOLD_WARNINGS ? 'GOLD' : 'SILVER';
}

/** Judges a platform. @param now milliseconds since the epoch */
export function judgeConformance(facts: ConformanceFacts, now: number): Conformance {
  const checks = CHECKS.map(([id, title, check]) => {
    const [state, detail] = check(facts);
    return { id, title, state, detail };
  });
  return { grade: gradeOf(checks), checks, checkedAt: now };
}
