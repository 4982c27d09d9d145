import { StorageError } from './storage-error.ts';

export type SqlValue = null | number | string | bigint | Uint8Array;

/**
 * What both engines take: flags become 0 or 1, a missing value becomes NULL. PostgreSQL cannot store the character NUL
 * and vendors send it, so it becomes U+FFFD on both.
 *
 * @throws StorageError `QUERY` for anything that is not a value of a column
 */
export function toSqlValue(value: unknown): SqlValue {
  switch (typeof value) {
    case 'string':
      return value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
    case 'number':
    case 'bigint':
      return value;
    case 'boolean':
      return value ? 1 : 0;
    case 'undefined':
      return null;
    case 'object':
      if (value === null || value instanceof Uint8Array) return value;
      throw notAValue();
    case 'function':
    case 'symbol':
      throw notAValue();
  }
}

function notAValue(): StorageError {
  return new StorageError('QUERY', 'a parameter is neither text, number, flag, bytes nor null');
}
