import { readdirSync, readFileSync } from 'node:fs';
import { Kind, parse, print } from 'graphql';

/** A saved operation of the playground. */
export interface Example {
  /** File name without its ending; its number is the order of the tabs. */
  readonly name: string;
  readonly query: string;
  /** Names of its variables, with their types as written. */
  readonly variables: readonly { readonly name: string; readonly type: string }[];
}

const FOLDER = new URL('./operations/', import.meta.url);

/** What users do on their first day, in the order of `operations/`. */
export function loadExamples(): readonly Example[] {
  const files = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.graphql'))
    .toSorted();
  return files.map((file) => {
    const query = readFileSync(new URL(file, FOLDER), 'utf8');
    const variables = parse(query).definitions.flatMap((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION ? (definition.variableDefinitions ?? []) : [],
    );
    return {
      name: file.replace(/\.graphql$/, ''),
      query,
      variables: variables.map(({ variable, type }) => ({ name: variable.name.value, type: print(type) })),
    };
  });
}
