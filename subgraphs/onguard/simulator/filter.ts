/** The filters of OpenAccess: comparisons with AND, OR and brackets, names in any case. @see §"Filter" of its user guide */
export class FilterError extends Error {
  override readonly name = 'FilterError';
}

export type Row = Readonly<Record<string, unknown>>;

const TOKEN = /\s*(?:(<=|>=|<>|!=|=|<|>)|([()])|"([^"]*)"|'([^']*)'|(-?\d+(?:\.\d+)?)(?![\w:-])|([A-Za-z_]\w*))/y;

interface Token {
  readonly kind: 'operator' | 'bracket' | 'text' | 'number' | 'word';
  readonly text: string;
}

function tokenize(filter: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (filter.slice(TOKEN.lastIndex).trim() !== '') {
    const match = TOKEN.exec(filter);
    if (match === null) throw new FilterError('the filter cannot be read');
    const kinds = ['operator', 'bracket', 'text', 'text', 'number', 'word'] as const;
    const index = match.slice(1).findIndex((part) => part !== undefined);
    tokens.push({ kind: kinds[index] ?? 'word', text: match[index + 1] ?? '' });
  }
  return tokens;
}

type Test = (row: Row) => boolean;

/** @param onText told of every text that is compared with, to judge it @throws FilterError */
export function parseFilter(filter: string, onText: (text: string) => void = () => undefined): Test {
  const tokens = tokenize(filter);
  if (tokens.length === 0) return () => true;

  function isWord(word: string): boolean {
    return tokens[0]?.kind === 'word' && tokens[0].text.toUpperCase() === word;
  }

  function any(): Test {
    const tests = [all()];
    while (isWord('OR')) {
      tokens.shift();
      tests.push(all());
    }
    return (row) => tests.some((test) => test(row));
  }

  function all(): Test {
    const tests = [one()];
    while (isWord('AND')) {
      tokens.shift();
      tests.push(one());
    }
    return (row) => tests.every((test) => test(row));
  }

  function one(): Test {
    const first = tokens.shift();
    if (first?.kind === 'bracket' && first.text === '(') {
      const inner = any();
      if (tokens.shift()?.text !== ')') throw new FilterError('a bracket is not closed');
      return inner;
    }
    const operator = tokens.shift();
    const value = tokens.shift();
    const isOperator = operator?.kind === 'operator' || operator?.text.toUpperCase() === 'LIKE';
    if (first?.kind !== 'word' || !isOperator || value === undefined || !['text', 'number'].includes(value.kind))
      throw new FilterError('the filter cannot be read');
    if (value.kind === 'text') onText(value.text);
    return comparison(first.text, operator?.text.toUpperCase() ?? '=', value);
  }

  const test = any();
  if (tokens.length > 0) throw new FilterError('the filter cannot be read to its end');
  return test;
}

function valueOf(row: Row, name: string): unknown {
  const found = Object.entries(row).find(([key]) => key.toLowerCase() === name.toLowerCase());
  if (found === undefined) throw new FilterError(`there is no property ${name}`);
  return found[1];
}

function comparison(name: string, operator: string, { kind, text }: Token): Test {
  return (row) => {
    const value = valueOf(row, name);
    if (operator === 'LIKE') {
      const pattern = text.toLowerCase().split('%');
      const own = String(value).toLowerCase();
      return pattern.length === 1 ? own === pattern[0] : own.startsWith(pattern[0] ?? '');
    }
    const instant = kind === 'text' && /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
    const left = Number.isNaN(instant)
      ? kind === 'number'
        ? Number(value)
        : String(value)
      : Date.parse(String(value));
    const right = Number.isNaN(instant) ? (kind === 'number' ? Number(text) : text) : instant;
    switch (operator) {
      case '=':
        return left === right;
      case '!=':
      case '<>':
        return left !== right;
      case '<':
        return left < right;
      case '<=':
        return left <= right;
      case '>':
        return left > right;
      default:
        return left >= right;
    }
  };
}
