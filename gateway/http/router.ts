import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../../logger.ts';
import type { OneTimeMedia } from '../../pipeline/media/one-time-media.ts';
import type { OnSiteExport } from '../../storage/on-site-export.ts';
import type { SyncService } from '../../pipeline/sync/service.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import type { Metrics } from '../metrics.ts';
import type { Playground } from '../playground/playground.ts';
import { internalError, Refusal } from '../refusal.ts';
import { requestIdOf } from '../request-id.ts';
import { prepareAnswer, sendRefusal } from './answer.ts';
import type { Cors } from './cors.ts';
import type { GraphQLHandler } from './graphql-handler.ts';
import type { PlainStream } from './plain-stream.ts';
import { answerLive, answerMetrics, answerReady, type ReadinessChecks } from './health.ts';
import { answerMedia } from './media.ts';
import { answerOnSiteExport } from './on-site-export.ts';
import { answerSync } from './sync-trigger.ts';

/** Takes webhook deliveries; it authenticates them itself, over the raw bytes, and answers in its own words. */
export interface WebhookIntake {
  /** @param rest what follows the integration's id in the path, without the slash; empty when nothing does */
  handle(request: IncomingMessage, response: ServerResponse, integrationId: string, rest: string): Promise<void>;
  /** Tells a sender what became of its deliveries. @param rest `receipts`, after what else follows the integration's id */
  ask(request: IncomingMessage, response: ServerResponse, integrationId: string, rest: string): Promise<void>;
}

export interface Routes {
  readonly graphql: GraphQLHandler;
  readonly plainStream: PlainStream;
  readonly intake: WebhookIntake;
  readonly syncs: SyncService;
  readonly authenticator: Authenticator;
  /** Null: there is nothing at its paths. */
  readonly exports: OnSiteExport | null;
  /** Null: there is nothing at its path. */
  readonly media: OneTimeMedia | null;
  readonly playground: Playground;
  readonly cors: Cors;
  readonly metrics: Metrics;
  readonly metricsToken: string | null;
  readonly readiness: ReadinessChecks;
  readonly isStopping: () => boolean;
  readonly logger: Logger;
}

const WEBHOOK = /^\/webhooks\/([\w-]{1,100})(?:\/([^?]{0,500}))?(?:\?|$)/;
const RECEIPTS = /^\/webhooks\/([\w-]{1,100})\/((?:[^?]{1,480}\/)?receipts)(?:\?|$)/;
const ON_SITE_EXPORT = /^\/export\/on-prem\/([\w-]{1,100})\/(inventory|health)$/;
const MEDIA = /^\/media\/([\w-]{1,6000})$/;
const SYNC = /^\/integrations\/([\w-]{1,100})\/sync$/;

function isPageRequest(request: IncomingMessage, url: URL): boolean {
  const wantsPage = request.headers.accept?.includes('text/html') ?? false;
  return request.method === 'GET' && wantsPage && !url.searchParams.has('query');
}

function assertMethod(request: IncomingMessage, ...methods: readonly string[]): void {
  if (methods.includes(request.method ?? '')) return;
  const allow = methods.join(', ');
  throw new Refusal(405, 'METHOD_NOT_ALLOWED', `This path needs ${allow}.`, { headers: { allow } });
}

/** Which part of the house answers which path. Paths become labels of metrics by the name of their route. */
export function createRouter(routes: Routes): (request: IncomingMessage, response: ServerResponse) => void {
  const { graphql, intake, playground, cors, metrics, logger } = routes;

  async function route(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<string> {
    const target = request.url ?? '/';
    if (!URL.canParse(target, 'http://gateway')) throw new Refusal(400, 'BAD_REQUEST', 'The path is malformed.');
    const url = new URL(target, 'http://gateway');
    cors.apply(request, response);
    if (request.method === 'OPTIONS') {
      cors.preflight(response);
      return 'preflight';
    }
    switch (url.pathname) {
      case '/graphql':
        if (isPageRequest(request, url)) return page(request, response);
        await graphql.handle(request, response, url, requestId);
        return 'graphql';
      case '/events/stream':
        assertMethod(request, 'GET');
        await routes.plainStream(request, response, url, requestId);
        return 'events';
      case '/':
        return page(request, response);
      case '/livez':
        assertMethod(request, 'GET', 'HEAD');
        answerLive(response);
        return 'livez';
      case '/readyz':
        assertMethod(request, 'GET', 'HEAD');
        await answerReady(response, routes.readiness, routes.isStopping());
        return 'readyz';
      case '/metrics':
        assertMethod(request, 'GET');
        await answerMetrics(request, response, metrics, routes.metricsToken);
        return 'metrics';
      default: {
        const [, orgId, what] = ON_SITE_EXPORT.exec(url.pathname) ?? [];
        if (orgId !== undefined && what !== undefined && routes.exports !== null) {
          assertMethod(request, 'GET');
          const { authenticator, exports } = routes;
          await answerOnSiteExport(request, response, orgId, what, { authenticator, exports });
          return 'export';
        }
        const token = MEDIA.exec(url.pathname)?.[1];
        if (token !== undefined && routes.media !== null) {
          assertMethod(request, 'GET', 'HEAD');
          await answerMedia(request, response, token, { media: routes.media, authenticator: routes.authenticator });
          return 'media';
        }
        const integrationId = SYNC.exec(url.pathname)?.[1];
        if (integrationId === undefined) throw new Refusal(404, 'NOT_FOUND', 'There is nothing here.');
        assertMethod(request, 'POST');
        await answerSync(request, response, integrationId, routes);
        return 'sync';
      }
    }
  }

  async function page(request: IncomingMessage, response: ServerResponse): Promise<string> {
    assertMethod(request, 'GET', 'HEAD');
    await playground.answer(request, response);
    return 'playground';
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<string> {
    const requestId = requestIdOf(request.headers['x-request-id']);
    // Deliveries come by the thousand: nothing of what follows is for them.
    const webhook = request.method === 'POST' ? WEBHOOK.exec(request.url ?? '') : null;
    if (webhook !== null) {
      response.setHeader('x-request-id', requestId);
      await intake.handle(request, response, webhook[1] ?? '', webhook[2] ?? '');
      return 'webhook';
    }
    const question = request.method === 'GET' ? RECEIPTS.exec(request.url ?? '') : null;
    if (question !== null) {
      response.setHeader('x-request-id', requestId);
      await intake.ask(request, response, question[1] ?? '', question[2] ?? '');
      return 'receipts';
    }
    prepareAnswer(response, requestId);
    try {
      return await route(request, response, requestId);
    } catch (error) {
      if (error instanceof Refusal) {
        sendRefusal(response, error, requestId);
        return 'refused';
      }
      throw error;
    }
  }

  return (request, response) => {
    answer(request, response).then(
      (name) => metrics.httpAnswered(name, response.statusCode),
      (error: unknown) => {
        if (response.destroyed || request.destroyed) return;
        const requestId = String(response.getHeader('x-request-id') ?? requestIdOf(undefined));
        logger.error({ err: error, requestId, method: request.method }, 'A request failed');
        sendRefusal(response, internalError(), requestId);
        metrics.httpAnswered('failed', 500);
      },
    );
  };
}
