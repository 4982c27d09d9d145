// What sensors push over HTTP: JSON by the operator's templates, receipts as text by the operator's words. Pure.
import { DecodeError } from '../../adapter-kit/adapter-error.ts';
import type { InboundMessage } from '../../adapter-kit/model.ts';
import { type Catalogue, type Listed, listed, nativeIdOf } from './catalogue.ts';
import { parseUtc } from './dialects/onvif-topics.ts';
import { parseBody } from './envelope.ts';
import type { Reading } from './reading.ts';
import type { PushSource, SensorSettings, Template } from './settings.ts';
import { PRESENCE } from './words.ts';

/** Items of one body; a sender that batches more sends several bodies. */
const MAX_ITEMS = 500;
const MAX_TEXT = 10_000;
const SECONDS_UNTIL = 100_000_000_000;

export interface Pushed {
  readonly source: PushSource;
  readonly sensor: SensorSettings;
  readonly reading: Reading;
}

/** The member at a path of names with dots; undefined when there is none. */
export function memberAt(value: unknown, path: string): unknown {
  let at: unknown = value;
  for (const name of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = Reflect.get(at, name);
  }
  return at;
}

export function wordAt(value: unknown, path: string | undefined): string | null {
  const found = path === undefined ? undefined : memberAt(value, path);
  if (typeof found === 'string') return found === '' ? null : found.slice(0, MAX_TEXT);
  return typeof found === 'number' || typeof found === 'boolean' ? String(found) : null;
}

function instantAt(value: unknown, path: string | undefined): Date | null {
  const found = path === undefined ? undefined : memberAt(value, path);
  if (typeof found === 'string') return parseUtc(found);
  if (typeof found !== 'number' || !Number.isFinite(found)) return null;
  const at = new Date(found < SECONDS_UNTIL ? found * 1_000 : found);
  return Number.isNaN(at.getTime()) ? null : at;
}

/** Card numbers (12 to 19 digits that pass the Luhn check) are nobody's business here. */
export function maskCards(text: string): string {
  return text.replaceAll(/\d(?:[ -]?\d){11,18}/g, (run) => {
    const digits = run.replaceAll(/\D/g, '');
    let sum = 0;
    for (const [index, digit] of digits.split('').toReversed().entries()) {
      const doubled = index % 2 === 1 ? Number(digit) * 2 : Number(digit);
      sum += doubled > 9 ? doubled - 9 : doubled;
    }
    return sum % 10 === 0 ? `${'*'.repeat(digits.length - 4)}${digits.slice(-4)}` : run;
  });
}

/** A copy in which every text is free of card numbers. */
export function maskDeep(value: unknown): unknown {
  if (typeof value === 'string') return maskCards(value);
  // A card number may come as a number; only whole ones are long enough to be one.
  if (typeof value === 'number' && value > 1e11 && Number.isSafeInteger(value)) {
    const masked = maskCards(String(value));
    return masked.includes('*') ? masked : value;
  }
  if (Array.isArray(value)) return value.map(maskDeep);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]: [string, unknown]) => [name, maskDeep(member)]));
}

const STATE_VALUES: ReadonlyMap<string, string> = new Map([
  ['active', 'active'],
  ['true', 'active'],
  ['1', 'active'],
  ['on', 'active'],
  ['alarm', 'active'],
  ['clear', 'clear'],
  ['false', 'clear'],
  ['0', 'clear'],
  ['off', 'clear'],
  ['restore', 'clear'],
  ['restored', 'clear'],
  ['normal', 'clear'],
]);

function valueOf(template: Template, word: string | null): string {
  const mapped = word !== null && Object.hasOwn(template.values, word) ? template.values[word] : undefined;
  const said = mapped ?? word ?? '';
  if (template.signal === 'presence') return PRESENCE.get(said.toLowerCase()) ?? 'unknown';
  if (
    template.signal === 'access' ||
    template.signal === 'pos' ||
    template.signal === 'detection' ||
    template.signal === 'value'
  )
    return said === '' ? (template.signal === 'detection' ? 'detected' : 'transaction') : said;
  return STATE_VALUES.get(said.toLowerCase()) ?? 'active';
}

function readItem(template: Template, item: unknown, nativeId: string): Reading {
  const word = wordAt(item, template.value);
  const label = wordAt(item, template.label);
  const score = Number(wordAt(item, template.score) ?? Number.NaN);
  const confidence = Number.isFinite(score) ? score : null;
  const box = template.box === undefined ? undefined : memberAt(item, template.box);
  const text = wordAt(item, template.text);
  const vendorEventId = wordAt(item, template.id);
  const metadata = typeof item === 'object' && item !== null && !Array.isArray(item) ? item : { value: item };
  return {
    nativeId,
    point: wordAt(item, template.point) ?? 'device',
    signal: template.signal,
    value: valueOf(template, word),
    word: (word ?? template.signal).slice(0, 200),
    occurredAt: instantAt(item, template.occurredAt),
    metadata: maskDeep({
      ...metadata,
      ...(label === null ? {} : { label }),
      ...(confidence === null ? {} : { score: confidence }),
      ...(box === undefined ? {} : { box }),
      ...(text === null ? {} : { text }),
    }),
    ...(vendorEventId === null ? {} : { vendorEventId: vendorEventId.slice(0, 200) }),
    ...(label === null ? {} : { actor: { kind: label.slice(0, 100), confidence } }),
  };
}

function isMeant(template: Template, body: unknown): boolean {
  if (!Object.entries(template.when).every(([path, wanted]) => memberAt(body, path) === wanted)) return false;
  if (template.items !== undefined) return Array.isArray(memberAt(body, template.items));
  return wordAt(body, template.sensor) !== null;
}

function sensorNamed(catalogue: Catalogue, source: PushSource, address: string | null): SensorSettings {
  const sensor = address === null ? undefined : catalogue.sensor(source.id, address);
  // The word itself is the sender's: it goes into no error.
  if (sensor === undefined) throw new DecodeError('MAPPING', `the sensor is not in the list of source "${source.id}"`);
  return sensor;
}

function readText(
  catalogue: Catalogue,
  sources: readonly PushSource[],
  message: InboundMessage,
  text: string,
): readonly Pushed[] {
  const named = message.headers['x-sensor'] ?? null;
  const source = sources.find(
    (each) => each.textRules.length > 0 && (named === null || catalogue.sensor(each.id, named) !== undefined),
  );
  if (source === undefined) throw new DecodeError('SCHEMA', 'no source takes text');
  const sensor = sensorNamed(catalogue, source, named);
  const lower = text.toLowerCase();
  const rule = source.textRules.find(({ contains }) => lower.includes(contains.toLowerCase()));
  const lines = maskCards(text.slice(0, MAX_TEXT))
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
  const reading: Reading = {
    nativeId: nativeIdOf(source.id, sensor.address),
    point: 'device',
    signal: 'pos',
    value: rule?.value ?? 'transaction',
    word: rule?.contains ?? 'text',
    occurredAt: null,
    metadata: { text: lines.join('\n'), lines },
  };
  return [{ source, sensor, reading }];
}

/** @throws DecodeError PARSE, SCHEMA when no template takes it, MAPPING for a sensor that is in no list */
export function readPushed(message: InboundMessage, catalogue: Catalogue): readonly Pushed[] {
  const sources = catalogue.settings.sources.filter((source) => source.protocol === 'http');
  if (message.headers['content-type']?.startsWith('text/') === true) {
    const text = Buffer.from(message.body).toString('utf8');
    if (text.trim() === '') throw new DecodeError('PARSE', 'the text is empty');
    return readText(catalogue, sources, message, text);
  }
  const body = parseBody(message.body);
  for (const source of sources) {
    const template = source.templates.find((each) => isMeant(each, body));
    if (template === undefined) continue;
    const items = template.items === undefined ? [body] : memberAt(body, template.items);
    if (!Array.isArray(items) || items.length === 0 || items.length > MAX_ITEMS)
      throw new DecodeError('SCHEMA', `a body has 1 to ${MAX_ITEMS} readings`);
    return items.map((item: unknown) => {
      const sensor = sensorNamed(catalogue, source, wordAt(item, template.sensor));
      return { source, sensor, reading: readItem(template, item, nativeIdOf(source.id, sensor.address)) };
    });
  }
  throw new DecodeError('SCHEMA', 'no template takes this body');
}

/** The sensors of a sender, as the operator listed them. */
export function pushSensors(catalogue: Catalogue, source: PushSource): readonly Listed[] {
  return catalogue.sensorsOf(source.id).map((sensor) =>
    listed({
      ...catalogue.at(source, sensor.address),
      protocol: 'http',
      vendorType: sensor.kind ?? 'http',
    }),
  );
}
