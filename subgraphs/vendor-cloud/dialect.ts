// How one vendor words the contract: our tables with the integration's settings before them, ready for look-ups.
import { type AliasReader, createAliasReader } from '../../schema/contract/aliases.ts';
import { isUuid } from '../../schema/contract/fields.ts';
import type { DeviceState, DeviceType, EventFamily } from '../../schema/words.ts';
import { type ImportedCatalogue, importCatalogue } from './event-catalogue.ts';
import { EVENT_RULES, type EventRule, FAMILY_FALLBACKS, FAMILY_WORDS, RULE_BY_STATE } from './event-rules.ts';
import { VendorCloudSettings } from './settings.ts';
import { foldWord, LIFE_SIGN_WORDS, STATUS_WORDS, TYPE_WORDS } from './words.ts';

export interface Dialect {
  readonly settings: VendorCloudSettings;
  readonly read: {
    readonly account: AliasReader;
    readonly site: AliasReader;
    readonly device: AliasReader;
    readonly event: AliasReader;
    readonly page: AliasReader;
  };
  /** Null when no table has the word. */
  typeOf(word: string): DeviceType | null;
  stateOf(word: string): DeviceState | null;
  /** @param subtype the word beside the event type, when there is one */
  ruleOf(eventType: string, subtype: string | null): EventRule | null;
  /** What became of the vendor's own list of event types. */
  readonly catalogue: ImportedCatalogue;
  /** The family that an event type names, and nothing more. */
  familyOf(eventType: string): EventFamily | null;
  /** Unique within the integration. */
  nativeIdOf(deviceId: string, systemId: string | undefined): string;
}

function withWords<T>(own: Readonly<Record<string, T>>, table: ReadonlyMap<string, T>): (word: string) => T | null {
  const added = new Map(Object.entries(own).map(([word, meaning]) => [foldWord(word), meaning]));
  return (word) => {
    const folded = foldWord(word);
    return added.get(folded) ?? table.get(folded) ?? null;
  };
}

const byType = new Map([...EVENT_RULES, ...Object.values(FAMILY_FALLBACKS)].map((rule) => [rule.type, rule]));

function split(list: string | undefined): readonly string[] {
  return (list ?? '').split(' ').filter((word) => word !== '');
}

/** `FAMILY word` to rule: for envelopes that say the family in `event_type` and the rest in `data`. */
const byFamilyAndWord = new Map(
  EVENT_RULES.flatMap((rule) => split(rule.words).map((word) => [`${rule.family} ${word}`, rule] as const)),
);

/** Whole names: our own type, the listed names, and the family's name before a word. The first rule that claims one has it. */
const byName = new Map(
  EVENT_RULES.flatMap((rule) => {
    const [prefix = ''] = rule.type.split('.');
    const names = [foldWord(rule.type), ...split(rule.names), ...split(rule.words).map((word) => `${prefix}_${word}`)];
    return names.map((name) => [name, rule] as const);
  }).toReversed(),
);

/** Rules that say no more than a family, or that nobody knows. */
const vague: ReadonlySet<EventRule | undefined> = new Set([
  ...Object.values(FAMILY_FALLBACKS),
  RULE_BY_STATE.get('UNKNOWN'),
]);

/** Words that only say that it has begun. */
const BEGINS: ReadonlySet<string> = new Set(['', 'active', 'activated', 'triggered', 'started', 'begin', 'on']);

/** What a rule becomes when the event says that it is over. */
export function restoralOf(rule: EventRule): EventRule {
  const [family = ''] = rule.type.split('.');
  return rule.restoral ? rule : (byType.get(`${rule.type}_restored`) ?? byType.get(`${family}.restored`) ?? rule);
}

function createDialect(settings: VendorCloudSettings): Dialect {
  const stateOf = withWords(settings.statusWords, STATUS_WORDS);
  const configured = new Map(
    Object.entries(settings.eventTypes).map(([name, type]) => [foldWord(name), byType.get(type)]),
  );
  const aliases = settings.aliases;

  /** `camera.offline`, `device-online`: a state behind anything. */
  function healthRule(name: string): EventRule | null {
    const word = name.slice(name.lastIndexOf('_') + 1);
    const state = ['online', 'offline', 'degraded'].includes(word) ? stateOf(word) : null;
    return state === null ? null : (RULE_BY_STATE.get(state) ?? null);
  }

  function tableRule(name: string, word: string): EventRule | null {
    const family = FAMILY_WORDS.get(name);
    if (family === undefined) return byName.get(name) ?? healthRule(name);
    if (family === 'HEALTH') {
      if (LIFE_SIGN_WORDS.has(word)) return byType.get('supervision.last_seen') ?? null;
      return RULE_BY_STATE.get((word === '' ? null : stateOf(word)) ?? 'UNKNOWN') ?? null;
    }
    if (family === 'SUPERVISION') return byType.get('supervision.last_seen') ?? null;
    // `trouble` and `tamper` are families to some vendors and words to others.
    const ofName = BEGINS.has(word) ? byFamilyAndWord.get(`${family} ${name}`) : undefined;
    return (
      byFamilyAndWord.get(`${family} ${name}_${word}`) ??
      ofName ??
      byFamilyAndWord.get(`${family} ${word}`) ??
      FAMILY_FALLBACKS[family] ??
      null
    );
  }

  const catalogue = importCatalogue(settings.eventCatalogue, {
    ruleOf: (name, word) => tableRule(foldWord(name), word === null ? '' : foldWord(word)),
    isFamily: (name) => FAMILY_WORDS.has(foldWord(name)),
    isVague: (rule) => vague.has(rule),
  });

  return {
    settings,
    read: {
      account: createAliasReader('account', aliases),
      site: createAliasReader('site', aliases),
      device: createAliasReader('device', aliases),
      event: createAliasReader('event', aliases),
      page: createAliasReader('page', aliases),
    },
    typeOf: withWords(settings.typeWords, TYPE_WORDS),
    stateOf,
    catalogue,
    familyOf: (eventType) => FAMILY_WORDS.get(foldWord(eventType)) ?? null,
    ruleOf(eventType, subtype) {
      const name = foldWord(eventType);
      const word = subtype === null ? '' : foldWord(subtype);
      const own = configured.get(`${name}_${word}`) ?? configured.get(name);
      if (own !== undefined) return own;
      return catalogue.rules.get(`${name}_${word}`) ?? catalogue.rules.get(name) ?? tableRule(name, word);
    },
    nativeIdOf(deviceId, systemId) {
      const isScoped = settings.systemIds === 'always' || (settings.systemIds === 'auto' && !isUuid(deviceId));
      return isScoped && systemId !== undefined ? `${systemId}/${deviceId}` : deviceId;
    },
  };
}

const DEFAULTS = VendorCloudSettings.parse({});
const dialects = new WeakMap<object, Dialect>();

/**
 * @param settings as parsed by VendorCloudSettings; anything else counts as none
 * @returns the same dialect for the same object: decoding asks for every delivery
 */
export function dialectOf(settings: unknown): Dialect {
  const key = typeof settings === 'object' && settings !== null ? settings : DEFAULTS;
  let dialect = dialects.get(key);
  if (dialect === undefined) {
    dialect = createDialect(VendorCloudSettings.catch(DEFAULTS).parse(key));
    dialects.set(key, dialect);
  }
  return dialect;
}
