// Properties of OnGuard objects. The server spells one name in several ways (`PanelID`, `PANELID`), so that names are
// compared without case, and says numbers as numbers or as text.

/** Property by folded name. */
export type Properties = ReadonlyMap<string, unknown>;

/** @param record untrusted; anything but an object has no properties */
export function propertiesOf(record: unknown): Properties {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) return new Map();
  return new Map(Object.entries(record).map(([name, value]) => [name.toLowerCase(), value]));
}

/** A whole number; null for anything else, and for absent. */
export function intOf(properties: Properties, name: string): number | null {
  const value = properties.get(name.toLowerCase());
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : null;
  return typeof value === 'string' && /^-?\d{1,15}$/.test(value.trim()) ? Number(value) : null;
}

/** Trimmed text; null when it is empty or absent. */
export function textOf(properties: Properties, name: string): string | null {
  const value = properties.get(name.toLowerCase());
  if (typeof value !== 'string') return null;
  const text = value.trim();
  return text === '' ? null : text;
}

export function boolOf(properties: Properties, name: string): boolean | null {
  const value = properties.get(name.toLowerCase());
  if (typeof value === 'boolean') return value;
  if (value === 1 || value === 0) return value === 1;
  if (typeof value === 'string' && /^(true|false)$/i.test(value.trim())) return value.trim().toLowerCase() === 'true';
  return null;
}

/** The first property whose folded name fits, as text. */
export function textLike(properties: Properties, pattern: RegExp): string | null {
  for (const name of properties.keys()) {
    const text = pattern.test(name) ? textOf(properties, name) : null;
    if (text !== null) return text;
  }
  return null;
}

/**
 * Addresses are 32-bit integers whose lowest byte is the first octet, signed or not. A server that says it as dotted text
 * is taken at its word.
 */
export function ipOf(properties: Properties, ...names: readonly string[]): string | null {
  for (const name of names) {
    const value = intOf(properties, name);
    if (value !== null && value !== 0) {
      const bits = value >>> 0;
      return [bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24].join('.');
    }
    const text = textOf(properties, name);
    if (text !== null && /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && text !== '0.0.0.0') return text;
  }
  return null;
}
