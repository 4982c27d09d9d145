import {
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLOutputType,
  isCompositeType,
  isListType,
  isNonNullType,
} from 'graphql';

// What a field costs, counted before anything runs. One point is about one object that is looked up and written.

/** What a list without pages is taken to hold. */
const LIST_SIZE = 5;

/** What a page holds when neither the client nor the schema says. */
export const DEFAULT_PAGE_SIZE = 50;

const MUTATION_WEIGHT = 10;

/** Fields that cost more than the one object they return: a question to a platform, or a count over many rows. */
const WEIGHTS: ReadonlyMap<string, number> = new Map([
  ['Device.source', 5],
  ['Integration.platform', 20],
  ['Query.vendorSites', 50],
  ['Query.deviceAggregate', 100],
  ['DeviceConnection.facets', 50],
  ['Org.health', 3],
  ['Site.health', 3],
  ['Org.availability', 200],
  ['Site.availability', 50],
  ['Device.availability', 2],
  ['IntegrationHealth.deadLettersOpen', 1],
  ['Mutation.testIntegration', 100],
  ['Mutation.createIntegration', 100],
  ['Mutation.updateIntegration', 100],
  ['Mutation.syncIntegration', 100],
  ['Mutation.replayDeadLetters', 100],
  ['Mutation.simulateEvents', 100],
  // More than a hundred types, whose schemas are three quarters of a megabyte together.
  ['Query.eventTypes', 20],
  ['EventType.jsonSchema', 150],
  ['EventType.sample', 10],
]);

/** Exact counts are a question of their own to the store. */
const COUNT_WEIGHT = 2;

/** How a field takes part in the cost of what is selected around it. */
export interface FieldCost {
  /** Of the field itself, once. */
  readonly weight: number;
  /** `items`: as many as the enclosing page has. A number: that many. */
  readonly size: number | 'items';
}

function unwrap(type: GraphQLOutputType): { list: boolean; named: GraphQLOutputType } {
  let named = type;
  let list = false;
  while (isNonNullType(named) || isListType(named)) {
    list ||= isListType(named);
    named = named.ofType;
  }
  return { list, named };
}

export function fieldCost(parent: GraphQLCompositeType, field: GraphQLField<unknown, unknown>): FieldCost {
  const { list, named } = unwrap(field.type);
  const isConnection = parent.name.endsWith('Connection');
  const known = WEIGHTS.get(`${parent.name}.${field.name}`);
  if (isConnection && (field.name === 'nodes' || field.name === 'edges')) return { weight: known ?? 1, size: 'items' };
  if (isConnection && field.name === 'totalCount') return { weight: COUNT_WEIGHT, size: 1 };
  if (parent.name === 'Mutation') return { weight: known ?? MUTATION_WEIGHT, size: 1 };
  if (!isCompositeType(named)) return { weight: known ?? 0, size: 1 };
  return { weight: known ?? 1, size: list ? LIST_SIZE : 1 };
}
