import type { AnswerWriter, Complete } from './completion.ts';
import type { Tree } from './tree.ts';

/** One field of an answer's object. */
export interface FieldShape {
  /** The client's name for it. */
  readonly key: string;
  /** Where its value stands in the tree. */
  readonly source: string;
  /** Its JSON text when that does not depend on the tree (`__typename`), else null. */
  readonly constant: string | null;
  readonly complete: Complete;
}

/** Writes objects of one type for one set of selections. */
export class ObjectShape {
  readonly #fields: readonly FieldShape[];
  /** `{"a":` or `,"b":`, one per field. */
  readonly #prefixes: readonly string[];

  constructor(fields: readonly FieldShape[]) {
    this.#fields = fields;
    this.#prefixes = fields.map(({ key }, index) => `${index === 0 ? '{' : ','}${JSON.stringify(key)}:`);
  }

  /** @returns JSON text; undefined when a field that may not be null is null, and so the object is */
  write(value: Tree, out: AnswerWriter): string | undefined {
    const fields = this.#fields;
    if (fields.length === 0) return '{}';
    const depth = out.depth;
    out.depth = depth + 1;
    let text = '';
    for (let index = 0; index < fields.length; index++) {
      const field = fields[index] as FieldShape;
      let part = field.constant ?? undefined;
      if (part === undefined) {
        out.path[depth] = field.key;
        part = field.complete(value[field.source], out);
        if (part === undefined) {
          out.depth = depth;
          return undefined;
        }
      }
      text += (this.#prefixes[index] as string) + part;
    }
    out.depth = depth;
    return `${text}}`;
  }
}
