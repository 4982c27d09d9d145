/**
 * What OnGuard's events mean, as data. The codes are different at every site and release, so that none is written here: the
 * words of the event catalogue decide, then the event's own description, then the name of its type.
 *
 * @see the alarm descriptions and event type names that OnGuard ships; the chapters of its OpenDevice events guide
 */
import type { AccessOutcome, DeviceState, EventFamily, Severity, StatusReason } from '../../schema/words.ts';

export interface EventRule {
  readonly type: string;
  readonly family: EventFamily;
  readonly severity: Severity;
  /** What happened, to be put after the device's name. */
  readonly phrase: string;
  readonly state?: DeviceState;
  readonly reason?: StatusReason;
  /** Faults that this says nothing of: a device that has one keeps it. */
  readonly keepsDegraded?: readonly StatusReason[];
  readonly outcome?: AccessOutcome;
  readonly restoral?: boolean;
  readonly fault?: string;
  /** Whether the device must have been alive to say it; default true. */
  readonly isLifeSign?: boolean;
}

const RULES = {
  offline: {
    type: 'health.offline',
    family: 'HEALTH',
    severity: 'WARNING',
    phrase: 'went offline',
    state: 'OFFLINE',
    reason: 'NETWORK',
    isLifeSign: false,
  },
  online: {
    type: 'health.online',
    family: 'HEALTH',
    severity: 'NOTICE',
    phrase: 'is online',
    state: 'ONLINE',
    reason: 'REPORTED',
    keepsDegraded: ['POWER', 'TAMPER', 'OTHER'],
  },
  unknown: {
    type: 'health.unknown',
    family: 'HEALTH',
    severity: 'NOTICE',
    phrase: 'is in an unknown state',
    state: 'UNKNOWN',
    isLifeSign: false,
  },
  power: {
    type: 'health.degraded',
    family: 'HEALTH',
    severity: 'WARNING',
    phrase: 'has a fault of power',
    state: 'DEGRADED',
    reason: 'POWER',
  },
  powerRestored: {
    type: 'health.online',
    family: 'HEALTH',
    severity: 'NOTICE',
    phrase: 'has power again',
    state: 'ONLINE',
    reason: 'REPORTED',
    keepsDegraded: ['TAMPER', 'NETWORK', 'OTHER'],
  },
  tamper: {
    type: 'alarm.tamper',
    family: 'ALARM',
    severity: 'CRITICAL',
    phrase: 'is being tampered with',
    state: 'DEGRADED',
    reason: 'TAMPER',
  },
  tamperRestored: {
    type: 'alarm.tamper_restored',
    family: 'ALARM',
    severity: 'NOTICE',
    phrase: 'is no longer tampered with',
    state: 'ONLINE',
    reason: 'REPORTED',
    keepsDegraded: ['POWER', 'NETWORK', 'OTHER'],
    restoral: true,
  },
  trouble: { type: 'alarm.trouble', family: 'ALARM', severity: 'WARNING', phrase: 'reports trouble' },
  troubleRestored: {
    type: 'alarm.trouble_restored',
    family: 'ALARM',
    severity: 'NOTICE',
    phrase: 'is free of trouble',
    restoral: true,
  },
  forcedOpen: {
    type: 'access.forced_open',
    family: 'ACCESS',
    severity: 'CRITICAL',
    phrase: 'was forced open',
    outcome: 'FORCED_OPEN',
  },
  heldOpen: {
    type: 'access.held_open',
    family: 'ACCESS',
    severity: 'WARNING',
    phrase: 'is held open',
    outcome: 'HELD_OPEN',
  },
  closed: { type: 'access.closed', family: 'ACCESS', severity: 'INFO', phrase: 'was closed', outcome: 'CLOSED' },
  granted: {
    type: 'access.granted',
    family: 'ACCESS',
    severity: 'INFO',
    phrase: 'granted access',
    outcome: 'GRANTED',
  },
  denied: { type: 'access.denied', family: 'ACCESS', severity: 'NOTICE', phrase: 'denied access', outcome: 'DENIED' },
  panic: { type: 'alarm.panic', family: 'ALARM', severity: 'CRITICAL', phrase: 'reports duress' },
  fire: { type: 'alarm.fire', family: 'ALARM', severity: 'CRITICAL', phrase: 'detected fire' },
  intrusion: { type: 'alarm.intrusion', family: 'ALARM', severity: 'CRITICAL', phrase: 'detected an intrusion' },
  medical: { type: 'alarm.medical', family: 'ALARM', severity: 'CRITICAL', phrase: 'reports a medical emergency' },
  technical: { type: 'alarm.technical', family: 'ALARM', severity: 'WARNING', phrase: 'reports a technical alarm' },
  triggered: { type: 'alarm.triggered', family: 'ALARM', severity: 'CRITICAL', phrase: 'is in alarm' },
  restored: {
    type: 'alarm.restored',
    family: 'ALARM',
    severity: 'NOTICE',
    phrase: 'is back to normal',
    restoral: true,
  },
  videoLoss: {
    type: 'video.stream_loss',
    family: 'VIDEO',
    severity: 'WARNING',
    phrase: 'lost its stream',
    fault: 'stream_loss',
    isLifeSign: false,
  },
  storageFailure: {
    type: 'video.storage_failure',
    family: 'VIDEO',
    severity: 'WARNING',
    phrase: 'has failing storage',
    fault: 'storage_failure',
    isLifeSign: false,
  },
  videoRestored: {
    type: 'video.restored',
    family: 'VIDEO',
    severity: 'NOTICE',
    phrase: 'has its stream again',
    fault: 'restored',
  },
} as const satisfies Readonly<Record<string, EventRule>>;

type RuleName = keyof typeof RULES;

/** Every type that the rules can make. */
export const RULE_TYPES: readonly string[] = [...new Set(Object.values(RULES).map(({ type }) => type))];

/** Types of ours that an operator may give to a code; each once, the first rule of a type stands for it. */
export const OVERRIDE_TYPES = [
  'health.offline',
  'health.online',
  'health.degraded',
  'alarm.tamper',
  'alarm.tamper_restored',
  'alarm.trouble',
  'alarm.trouble_restored',
  'alarm.panic',
  'alarm.fire',
  'alarm.intrusion',
  'alarm.medical',
  'alarm.technical',
  'alarm.triggered',
  'alarm.restored',
  'access.granted',
  'access.denied',
  'access.forced_open',
  'access.held_open',
  'access.closed',
  'video.stream_loss',
  'video.storage_failure',
  'video.restored',
] as const;

const BACK = /(restored|restoral|cancel|cleared|secure|clos(ed|ing)|normal|reset)/i;

interface Pattern {
  readonly pattern: RegExp;
  readonly rule: RuleName;
  /** When the words also say that it is over; absent: then too. */
  readonly back?: RuleName;
}

/** The first pattern that fits decides. What is over is told apart before what has begun. */
const DESCRIPTIONS: readonly Pattern[] = [
  // Only the two words that were seen are read; another one means a state that we do not know.
  {
    pattern: /communications?\s+(lost|failure|failed)|\bcomm(s|unications?)?\s+loss\b|\boffline\b/i,
    rule: 'offline',
    back: 'online',
  },
  { pattern: /communications?\s+(restored|established)|\b(is |back )?online\b/i, rule: 'online' },
  { pattern: /^communications?\s+\S+/i, rule: 'unknown' },
  { pattern: /duress|hold[- ]?up|panic/i, rule: 'panic', back: 'restored' },
  { pattern: /forced/i, rule: 'forcedOpen', back: 'closed' },
  { pattern: /door held|held open|open too long/i, rule: 'heldOpen', back: 'closed' },
  { pattern: /tamper/i, rule: 'tamper', back: 'tamperRestored' },
  {
    pattern:
      /power (fail|loss)|\bac (fail|loss)|low battery|battery (low|fail)|\bpower\b.*restored|\bbattery\b.*restored/i,
    rule: 'power',
    back: 'powerRestored',
  },
  {
    pattern: /(ground|short|open|generic)\b.*\b(fault|loop)|line error|supervision/i,
    rule: 'trouble',
    back: 'troubleRestored',
  },
  { pattern: /(video|camera).*(loss|lost|restored)/i, rule: 'videoLoss', back: 'videoRestored' },
  { pattern: /(disk|storage|archive).*(fail|full|error)/i, rule: 'storageFailure', back: 'videoRestored' },
  { pattern: /granted/i, rule: 'granted' },
  { pattern: /denied|invalid (badge|card|access level|pin)/i, rule: 'denied' },
  { pattern: /\bfire\b|smoke/i, rule: 'fire', back: 'restored' },
  { pattern: /intrusion|burglar|glass ?break/i, rule: 'intrusion', back: 'restored' },
];

/** Names of event types, for descriptions that no pattern fits. */
const TYPE_NAMES: ReadonlyMap<string, Pattern> = new Map(
  (
    [
      ['access granted', 'granted'],
      ['access denied', 'denied'],
      ['duress', 'panic', 'restored'],
      ['fire', 'fire', 'restored'],
      ['burglary', 'intrusion', 'restored'],
      ['medical', 'medical', 'restored'],
      ['gas', 'technical', 'restored'],
      ['water', 'technical', 'restored'],
      ['temperature', 'technical', 'restored'],
      ['trouble', 'trouble', 'troubleRestored'],
    ] as const
  ).map(([name, rule, back]) => [name, { pattern: /^/, rule, ...(back === undefined ? {} : { back }) }]),
);

function ruleOf({ rule, back }: Pattern, words: string): EventRule {
  return back !== undefined && BACK.test(words) ? RULES[back] : RULES[rule];
}

/** What words of the platform mean; null when no pattern fits. */
export function ruleOfDescription(words: string): EventRule | null {
  const found = DESCRIPTIONS.find(({ pattern }) => pattern.test(words));
  return found === undefined ? null : ruleOf(found, words);
}

/** @param typeName name of the event type @param words description beside it, for whether it is over */
export function ruleOfTypeName(typeName: string, words: string): EventRule | null {
  const found = TYPE_NAMES.get(typeName.trim().toLowerCase());
  return found === undefined ? null : ruleOf(found, words);
}

/** What the panel itself says of a badge. @see access_result: 2 granted, 3 denied */
export function ruleOfAccessResult(result: number | null): EventRule | null {
  return result === 2 ? RULES.granted : result === 3 ? RULES.denied : null;
}

const BY_TYPE = new Map(
  Object.values(RULES)
    .toReversed()
    .map((rule): [string, EventRule] => [rule.type, rule]),
);

export function ruleOfType(type: string): EventRule | null {
  return BY_TYPE.get(type) ?? null;
}

/** The platform's word for the state, as a communications event has it: `Lost`, `Restored`, or one that is new. */
export function stateWordOf(words: string): string {
  return /^communications?\s+(.+)$/i.exec(words.trim())?.[1] ?? words.trim();
}
