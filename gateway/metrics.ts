import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { FetchReport } from './federation/engine.ts';

/** Seconds. From an answer out of the cache to a platform's deadline. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** How an operation ended: without errors, with errors in its answer, or refused before it ran. */
export type OperationOutcome = 'ok' | 'errors' | 'refused';

/** What the front door counts. Labels have few values each: no ids, no names that clients choose. */
export interface Metrics {
  readonly registry: Registry;
  httpAnswered(route: string, status: number): void;
  operationEnded(type: string, outcome: OperationOutcome, seconds: number): void;
  /** For the engine's `onFetch`. */
  readonly subgraphFetched: (report: FetchReport) => void;
  /** Read when metrics are collected. */
  watch(name: string, help: string, read: () => number | Promise<number>): void;
  /** The same for what only grows. */
  watchTotal(name: string, help: string, read: () => number): void;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const http = new Counter({
    name: 'convergraph_http_answers_total',
    help: 'HTTP answers by route and status.',
    labelNames: ['route', 'status'] as const,
    registers,
  });
  const operations = new Histogram({
    name: 'convergraph_graphql_operation_seconds',
    help: 'GraphQL operations from admission to answer; subscriptions until they are joined.',
    labelNames: ['type', 'outcome'] as const,
    buckets: DURATION_BUCKETS,
    registers,
  });
  const fetches = new Histogram({
    name: 'convergraph_subgraph_fetch_seconds',
    help: 'Calls of the gateway to subgraphs.',
    labelNames: ['subgraph', 'kind', 'outcome'] as const,
    buckets: DURATION_BUCKETS,
    registers,
  });
  return {
    registry,
    httpAnswered: (route, status) => http.inc({ route, status }),
    operationEnded: (type, outcome, seconds) => operations.observe({ type, outcome }, seconds),
    subgraphFetched({ service, kind, outcome, durationMs }) {
      fetches.observe({ subgraph: service, kind, outcome: outcome.toLowerCase() }, durationMs / 1_000);
    },
    watch(name, help, read) {
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set(await read());
        },
      });
    },
    watchTotal(name, help, read) {
      let told = 0;
      new Counter({
        name,
        help,
        registers,
        collect() {
          const total = read();
          this.inc(total - told);
          told = total;
        },
      });
    },
  };
}
