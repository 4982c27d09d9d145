// What a place in a delivery may hold: each returns null for anything else, and the next place is looked at.

/** Longest text that is a word, a name or an id. */
const MAX_TEXT = 300;
/** One picture shows a few; a list beyond this is no list of actors. */
const MAX_ACTORS = 50;

export interface Actor {
  readonly kind: string;
  readonly confidence: number | null;
}

/** The vendor's own filter says `bike`; the vendor's list of actors says `bicycle`. */
const ACTOR_KINDS: ReadonlyMap<string, string> = new Map([
  ['human', 'person'],
  ['people', 'person'],
  ['bike', 'bicycle'],
  ['motorbike', 'motorcycle'],
  ['lorry', 'truck'],
]);

export function readText(value: unknown): string | null {
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
  return text === '' || text.length > MAX_TEXT ? null : text;
}

export function readNumber(value: unknown): number | null {
  const number =
    typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}

export function readTexts(value: unknown): readonly unknown[] | null {
  return Array.isArray(value) ? value : null;
}

export function readActors(value: unknown): readonly Actor[] | null {
  const list = readTexts(value);
  if (list === null) return null;
  return list.slice(0, MAX_ACTORS).flatMap((entry) => {
    const kind = kindOf(entry);
    return kind === null ? [] : [{ kind, confidence: confidenceOf(entry) }];
  });
}

function member(entry: unknown, names: readonly string[]): unknown {
  if (typeof entry !== 'object' || entry === null) return undefined;
  return names.map((name): unknown => Reflect.get(entry, name)).find((value) => value !== undefined);
}

function kindOf(entry: unknown): string | null {
  const word = readText(typeof entry === 'string' ? entry : member(entry, ['type', 'class', 'label', 'kind']));
  if (word === null) return null;
  const kind = word.toLowerCase();
  return ACTOR_KINDS.get(kind) ?? kind;
}

/** As a share of one; percents are told by being more than one. */
function confidenceOf(entry: unknown): number | null {
  const value = readNumber(member(entry, ['confidence', 'score', 'probability']));
  if (value === null || value < 0 || value > 100) return null;
  return value > 1 ? value / 100 : value;
}
