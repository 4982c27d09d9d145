import {
  type GraphQLNamedOutputType,
  GraphQLBoolean,
  GraphQLFloat,
  GraphQLID,
  GraphQLInt,
  GraphQLString,
  isEnumType,
} from 'graphql';
import type { ResponsePath } from './transport.ts';

/**
 * Turns one value of the tree into its JSON text.
 *
 * @returns undefined when the value is null or unusable; whoever holds it decides whether that is allowed
 */
export type Complete = (value: unknown, out: AnswerWriter) => string | undefined;

/** Something that could not be written, and where. */
export interface CompletionFault {
  readonly message: string;
  readonly path: ResponsePath;
}

/** The state of writing one answer: where we are, and what was wrong. */
export class AnswerWriter {
  /** Valid up to `depth`; reused, so that a path costs nothing unless something is wrong there. */
  readonly path: (string | number)[] = [];
  depth = 0;
  readonly faults: CompletionFault[] = [];

  fail(message: string): undefined {
    this.faults.push({ message, path: this.path.slice(0, this.depth) });
    return undefined;
  }
}

/** Null stays null, and what could not be completed below becomes null here. */
export function completeNullable(complete: Complete): Complete {
  return (value, out) => (value === null || value === undefined ? 'null' : (complete(value, out) ?? 'null'));
}

/** Null is a fault here, and goes up to the next position that may be null. */
export function completeNonNull(complete: Complete, coordinate: string): Complete {
  const message = `Cannot return null for non-nullable field ${coordinate}.`;
  return (value, out) => (value === null || value === undefined ? out.fail(message) : complete(value, out));
}

export function completeList(complete: Complete, coordinate: string): Complete {
  return (value, out) => {
    if (!Array.isArray(value)) return out.fail(`${coordinate} is not a list.`);
    if (value.length === 0) return '[]';
    const depth = out.depth;
    out.depth = depth + 1;
    let text = '';
    for (let index = 0; index < value.length; index++) {
      out.path[depth] = index;
      const part = complete(value[index], out);
      if (part === undefined) {
        out.depth = depth;
        return undefined;
      }
      text += (index === 0 ? '[' : ',') + part;
    }
    out.depth = depth;
    return `${text}]`;
  };
}

/** Scalars and enums. Values come serialized from subgraphs; what cannot be of the type is a fault. */
export function completeLeaf(type: GraphQLNamedOutputType, coordinate: string): Complete {
  const unfit = `${coordinate} has a value that is not of type ${type.name}.`;
  if (isEnumType(type)) {
    const texts = new Map<unknown, string>(type.getValues().map(({ name }) => [name, `"${name}"`]));
    return (value, out) => texts.get(value) ?? out.fail(unfit);
  }
  switch (type.name) {
    case GraphQLString.name:
      return (value, out) => (typeof value === 'string' ? JSON.stringify(value) : out.fail(unfit));
    case GraphQLID.name:
      return (value, out) => {
        if (typeof value === 'string') return JSON.stringify(value);
        return Number.isSafeInteger(value) ? `"${String(value)}"` : out.fail(unfit);
      };
    case GraphQLInt.name:
      return (value, out) => (Number.isInteger(value) ? String(value) : out.fail(unfit));
    case GraphQLFloat.name:
      return (value, out) => (Number.isFinite(value) ? String(value) : out.fail(unfit));
    case GraphQLBoolean.name:
      return (value, out) => (typeof value === 'boolean' ? String(value) : out.fail(unfit));
    default:
      return completeJson;
  }
}

/** Any JSON value, as it is. */
function completeJson(value: unknown): string | undefined {
  return JSON.stringify(value);
}

/** A field whose value stands complete in the tree. */
export const completeField: Complete = completeNullable(completeJson);
