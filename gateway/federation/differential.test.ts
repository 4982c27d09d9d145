import { isDeepStrictEqual } from 'node:util';
import { type DocumentNode, type GraphQLFormattedError, parse, print, visit } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFederationEngine, type FederationEngine } from './engine.ts';
import { createOracle, type OracleAnswer } from './test-support/oracle.ts';
import { testPrincipal } from './test-support/principal.ts';
import { type RandomQuery, randomQuery } from './test-support/random-query.ts';
import { type Faults, NO_FAULTS, randomSubgraph } from './test-support/random-subgraph.ts';
import { withClientKeys, withDistinctKeys } from './test-support/rival-fields.ts';
import { compose, testSubgraphs } from './test-support/supergraph.ts';
import { createLocalTransport } from './transport-local.ts';

// Random queries over the product's own graph, answered by this engine and by Apollo Gateway from the same subgraphs.
// Data must be equal to the letter. Errors must be at the same places, except where Apollo Gateway is known to be wrong:
// each exception is named below with its reason.

interface Answer {
  readonly data: unknown;
  readonly errors?: readonly GraphQLFormattedError[];
}

const SUBGRAPHS = testSubgraphs();
const SUPERGRAPH = compose(SUBGRAPHS);

/** Queries of one round; rounds are tests of their own, so that a failure names a small set. */
const ROUND = 250;

const STAGES: readonly {
  readonly name: string;
  readonly faults: Faults;
  readonly rounds: number;
  readonly conditions: boolean;
}[] = [
  { name: 'complete data', faults: NO_FAULTS, rounds: 3, conditions: true },
  { name: 'data with nulls', faults: { ...NO_FAULTS, nullable: 0.15 }, rounds: 3, conditions: true },
  // Apollo Gateway fetches fields that nested conditions leave out, and tells their errors: no conditions here.
  {
    name: 'nulls, errors and unknown entities',
    faults: { nullable: 0.1, error: 0.03, violation: 0.01, missing: 0.05 },
    rounds: 3,
    conditions: false,
  },
];

function createEngine(faults: Faults): {
  readonly engine: FederationEngine;
  readonly ask: (query: RandomQuery) => Promise<Answer>;
  readonly subgraphs: ReadonlyMap<string, ReturnType<typeof randomSubgraph>>;
} {
  const subgraphs = new Map([...SUBGRAPHS].map(([name, sdl]) => [name, randomSubgraph(name, sdl, 'seed', faults)]));
  const transports = new Map(
    [...subgraphs].map(([name, subgraph]) => [name, createLocalTransport(subgraph, () => undefined)]),
  );
  const engine = createFederationEngine({ supergraphSdl: SUPERGRAPH, transports });
  const ask = async ({ text, variables }: RandomQuery): Promise<Answer> => {
    const request = {
      document: text,
      variables,
      principal: testPrincipal(),
      requestId: 'test',
      signal: new AbortController().signal,
    };
    return JSON.parse((await engine.execute(request)).text) as Answer;
  };
  return { engine, ask, subgraphs };
}

function placesOf(errors: readonly GraphQLFormattedError[]): Set<string> {
  // Apollo Gateway leaves `_entities` in the path of an entity's error, and forgets which of them it was.
  return new Set(
    errors.map(({ path = [] }) =>
      JSON.stringify(path.slice(0, path.includes('_entities') ? path.indexOf('_entities') : path.length)),
    ),
  );
}

/**
 * The nulls that errors have led to. Of several errors under one null the spec leaves open which are told. Indexes are
 * left out: Apollo Gateway numbers entities of a list by their place in the fetch, or writes `@`. A place that the answer
 * does not have ends with `?`, see `disagreement`.
 */
function nullsOf(errors: readonly GraphQLFormattedError[], data: unknown): Set<string> {
  const nulls = new Set<string>();
  const follow = (value: unknown, path: readonly (string | number)[], at: number, here: string): void => {
    const key = path[at];
    if (value === null) nulls.add(here);
    else if (value === undefined) nulls.add(`${here}?`);
    else if (key === undefined) return;
    else if (Array.isArray(value)) for (const entry of value) follow(entry, path, at + 1, `${here}.*`);
    else follow((value as Record<string, unknown>)[key], path, at + 1, `${here}.${key}`);
  };
  for (const { path = [] } of errors)
    follow(data, path.includes('_entities') ? path.slice(0, path.indexOf('_entities')) : path, 0, '');
  return nulls;
}

/**
 * The nulls that the loss of an entity may have led to, each with the error's message. Apollo Gateway tells such an error
 * at the object that waited for the entity; this engine tells it at the fields that got lost, where those may be null and
 * the object remains.
 */
function lossesOf(errors: readonly GraphQLFormattedError[], data: unknown): Set<string> {
  const losses = new Set<string>();
  const follow = (value: unknown, path: readonly (string | number)[], here: string, message: string): void => {
    if (Array.isArray(value)) {
      const rest = typeof path[0] === 'number' || path[0] === '@' ? path.slice(1) : path;
      for (const entry of value) follow(entry, rest, `${here}.*`, message);
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    const [key, ...rest] = path;
    for (const [name, child] of Object.entries(value)) {
      if (key === undefined && child === null) losses.add(`${here}.${name} ${message}`);
      if (key === name) follow(child, rest, `${here}.${name}`, message);
    }
  };
  for (const { path = [], message } of errors)
    follow(data, path.at(-1) === '_entities' ? path.slice(0, -1) : path, '', message);
  return losses;
}

/** @returns what cannot be explained; null when the answers agree */
function disagreement(ours: Answer, theirs: OracleAnswer): string | null {
  if (!isDeepStrictEqual(ours.data ?? null, theirs.data)) return 'data';
  const violations = placesOf((ours.errors ?? []).filter(isViolation));
  const places = placesOf(ours.errors ?? []);
  const expected = placesOf([...theirs.errors, ...theirs.completionErrors]);
  // Apollo Gateway tells of forbidden nulls only when there is no other error.
  const told =
    theirs.errors.length === 0
      ? places
      : new Set([...places].filter((place) => !violations.has(place) || expected.has(place)));
  if (isDeepStrictEqual(told, expected)) return null;
  const theirNulls = nullsOf([...theirs.errors, ...theirs.completionErrors], theirs.data);
  const ourNulls = nullsOf(ours.errors ?? [], ours.data);
  // Apollo Gateway also tells errors of fields that only other types of the list were asked for: it fetches them for every
  // type, see `rival-fields.ts`. What the answer does not have need not be told.
  const isTold = [...theirNulls].every((place) => place.endsWith('?') || ourNulls.has(place));
  const theirLosses = lossesOf(theirs.errors, theirs.data);
  const isTrue = (ours.errors ?? [])
    .filter((error) => !isViolation(error))
    .every((error) =>
      [...nullsOf([error], ours.data)].every(
        (place) => theirNulls.has(place) || theirLosses.has(`${place} ${error.message}`),
      ),
    );
  return isTold && isTrue ? null : `errors at ${[...told].join(' ')}, not at ${[...expected].join(' ')}`;
}

/** Null where the schema forbids it. */
function isViolation({ message }: GraphQLFormattedError): boolean {
  return message.startsWith('Cannot return null');
}

describe.each(STAGES)('federation engine against Apollo Gateway over $name', ({ faults, rounds, conditions }) => {
  const { engine, ask, subgraphs } = createEngine(faults);
  let oracle: Awaited<ReturnType<typeof createOracle>>;
  beforeAll(async () => {
    oracle = await createOracle(SUPERGRAPH, subgraphs);
  });
  afterAll(() => oracle.stop());

  it.each(Array.from({ length: rounds }, (_, round) => round))(
    'agrees on 250 random queries, round %i',
    async (round) => {
      const disagreements: string[] = [];
      for (let index = 0; index < ROUND; index++) {
        const query = randomQuery(engine.publicSchema, `${round}.${index}`, { conditions });
        const ours = await ask(query);
        let theirs = await oracle.ask(query.text, query.variables).catch((error: unknown) => String(error));
        let reason = typeof theirs === 'string' ? theirs : disagreement(ours, theirs);
        const distinct = reason === null ? null : withDistinctKeys(parse(query.text));
        if (distinct !== null) {
          // Apollo Gateway mixes up fields that have one key under different types, or cannot plan them at all: it is
          // asked again without such keys.
          theirs = withClientKeys(await oracle.ask(print(distinct), query.variables));
          reason = disagreement(ours, theirs);
        }
        if (reason !== null)
          disagreements.push(`${reason}\n${query.text}\n${JSON.stringify(ours)}\n${JSON.stringify(theirs)}`);
      }
      expect(disagreements).toEqual([]);
    },
  );
});

describe('federation engine', () => {
  const { engine, ask } = createEngine({ nullable: 0.1, error: 0.03, violation: 0.01, missing: 0.05 });
  const hiding = [
    'id',
    'name',
    'integrationId',
    'nativeId',
    '__typename',
    '__proto__',
    'constructor',
    '_entities',
    '_alias_0_id',
  ];

  it('answers under aliases that hide keys as it does under harmless ones', async () => {
    for (let index = 0; index < ROUND; index++) {
      const query = randomQuery(engine.publicSchema, `alias ${index}`, { aliases: hiding });
      const harmless = { ...query, text: print(withPrefixedAliases(parse(query.text))) };
      const [hidden, plain] = [await ask(query), await ask(harmless)];
      expect({ query, data: hidden.data }).toEqual({ query, data: withoutPrefixes(plain.data) });
      expect(pathsOf(hidden)).toEqual(new Set([...pathsOf(plain)].map((place) => place.replaceAll(PREFIX, ''))));
    }
  });
});

function pathsOf({ errors = [] }: Answer): Set<string> {
  return new Set(errors.map(({ path }) => JSON.stringify(path)));
}

const PREFIX = 'harmless_';

function withPrefixedAliases(document: DocumentNode): DocumentNode {
  return visit(document, {
    Field(node) {
      if (node.alias === undefined || node.alias.value === node.name.value) return undefined;
      return { ...node, alias: { ...node.alias, value: PREFIX + node.alias.value } };
    },
  });
}

function withoutPrefixes(data: unknown): unknown {
  return JSON.parse(JSON.stringify(data).replaceAll(`"${PREFIX}`, '"'));
}
