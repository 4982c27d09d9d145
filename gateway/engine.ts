import type { FederationEngine } from './federation/engine.ts';

/** What the front door needs of the federation engine; tests put a small one in its place. */
export type GraphQLEngine = Pick<FederationEngine, 'publicSchema' | 'execute' | 'subscribe' | 'streams'>;
