/**
 * XML as SOAP uses it: elements, attributes, text, CDATA. Names lose their prefix. A document type is refused, and with it
 * every entity that is not one of the five or a number: nothing here can grow or reach out.
 *
 * @see Extensible Markup Language 1.0; SOAP 1.2 part 1, section 5 (no DTD in messages)
 */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** All text of its own, trimmed. */
  readonly text: string;
}

export class XmlError extends Error {
  override readonly name = 'XmlError';
}

const MAX_DEPTH = 40;
const MAX_ELEMENTS = 50_000;
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
]);
const NAME = /[^\s=/><"']+/y;
const SPACE = /\s*/y;

function decodeText(text: string): string {
  return text.replaceAll(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|\w{1,10});/g, (_, name: string) => {
    const known = ENTITIES.get(name);
    if (known !== undefined) return known;
    const code = name.startsWith('#x')
      ? Number.parseInt(name.slice(2), 16)
      : name.startsWith('#')
        ? Number(name.slice(1))
        : Number.NaN;
    if (!(code > 0 && code <= 0x10_ff_ff)) throw new XmlError('an entity is not known');
    return String.fromCodePoint(code);
  });
}

export function encodeText(text: string): string {
  return text.replaceAll(/[<>&"']/g, (character) => `&#${character.codePointAt(0)};`);
}

type Open = { name: string; tag: string; attributes: Map<string, string>; children: XmlElement[]; text: string };

function localName(tag: string): string {
  return tag.slice(tag.indexOf(':') + 1);
}

/** @returns the root element @throws XmlError; its message quotes nothing of the document */
export function parseXml(xml: string): XmlElement {
  let at = 0;
  let count = 0;
  let root: XmlElement | null = null;
  const stack: Open[] = [];

  function match(pattern: RegExp): string {
    pattern.lastIndex = at;
    const found = pattern.exec(xml)?.[0] ?? '';
    at += found.length;
    return found;
  }
  function skipTo(end: string): string {
    const found = xml.indexOf(end, at);
    if (found === -1) throw new XmlError('the document ends in the middle');
    const skipped = xml.slice(at, found);
    at = found + end.length;
    return skipped;
  }
  function close({ name, attributes, children, text }: Open): void {
    const element: XmlElement = { name, attributes, children, text: text.trim() };
    const parent = stack.at(-1);
    if (parent !== undefined) parent.children.push(element);
    else if (root === null) root = element;
    else throw new XmlError('the document has two roots');
  }
  function openTag(): void {
    const tag = match(NAME);
    if (tag === '') throw new XmlError('an element has no name');
    count += 1;
    if (count > MAX_ELEMENTS || stack.length >= MAX_DEPTH) throw new XmlError('the document is too large or too deep');
    const attributes = new Map<string, string>();
    for (;;) {
      match(SPACE);
      if (xml.startsWith('/>', at) || xml.startsWith('>', at)) break;
      const name = match(NAME);
      match(SPACE);
      if (name === '' || xml[at] !== '=') throw new XmlError('an attribute has no value');
      at += 1;
      match(SPACE);
      const quote = xml[at];
      if (quote !== '"' && quote !== "'") throw new XmlError('a value has no quotes');
      at += 1;
      attributes.set(localName(name), decodeText(skipTo(quote)));
    }
    const open: Open = { name: localName(tag), tag, attributes, children: [], text: '' };
    if (xml.startsWith('/>', at)) {
      at += 2;
      close(open);
    } else {
      at += 1;
      stack.push(open);
    }
  }

  while (at < xml.length) {
    const next = xml.indexOf('<', at);
    const text = xml.slice(at, next === -1 ? xml.length : next);
    const current = stack.at(-1);
    if (current !== undefined) current.text += decodeText(text);
    else if (text.replace(/^\uFEFF/, '').trim() !== '') throw new XmlError('there is text outside of the document');
    if (next === -1) break;
    at = next + 1;
    if (xml.startsWith('?', at)) skipTo('?>');
    else if (xml.startsWith('!--', at)) skipTo('-->');
    else if (xml.startsWith('![CDATA[', at)) {
      at += 8;
      const data = skipTo(']]>');
      if (current === undefined) throw new XmlError('there is text outside of the document');
      current.text += data;
    } else if (xml.startsWith('!', at)) throw new XmlError('a document type is not allowed');
    else if (xml.startsWith('/', at)) {
      at += 1;
      const tag = skipTo('>').trim();
      const open = stack.pop();
      if (open === undefined || open.tag !== tag) throw new XmlError('an element ends that did not begin');
      close(open);
    } else openTag();
  }
  if (root === null || stack.length > 0) throw new XmlError('the document has no end');
  return root;
}

/** Every element of that name below, in order. */
export function* findAll(element: XmlElement, name: string): Generator<XmlElement> {
  for (const child of element.children) {
    if (child.name === name) yield child;
    yield* findAll(child, name);
  }
}

export function find(element: XmlElement, name: string): XmlElement | undefined {
  return findAll(element, name).next().value ?? undefined;
}
