// Receipts at the webhook edge: a sender asks what became of its deliveries, and proves itself as it does for them.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Receipts } from '../receipts/receipts.ts';
import { strangerVerifier } from '../signatures/verifier.ts';
import {
  badQuestion,
  DISABLED,
  type IntakeAnswer,
  refuse,
  STALE,
  tellReceipts,
  TOO_MANY_QUESTIONS,
  UNAUTHENTICATED,
} from './answers.ts';
import type { WebhookSource, WebhookSources } from './sources.ts';

/** Ids in one question. */
export const MAX_EVENT_IDS = 50;
/** Each of them is looked for in the inbox and decoded again. */
export const MAX_DELIVERY_IDS = 10;
const MAX_ID_CHARACTERS = 200;
/** Beyond it no question of MAX_EVENT_IDS has a reason to go. */
const MAX_QUERY_CHARACTERS = 12_000;
/** Questions of one integration in a second: a sender that wants to know more asks for several ids at once. */
const MAX_PER_SECOND = 10;
const SECOND_MS = 1_000;
/** What the last part of the path is called; before it stands the secret, in profile PATH_SECRET. */
const NAME = 'receipts';
const TIMESTAMP = /^\d{1,12}$/;

export interface QuestionsDeps {
  readonly sources: WebhookSources;
  readonly receipts: Receipts;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** @param rest what follows the integration in the path, without the slash; decoded */
export type AnswerQuestion = (
  req: IncomingMessage,
  res: ServerResponse,
  integrationId: string,
  rest: string,
) => Promise<void>;

export function createQuestions({ sources, receipts, now }: QuestionsDeps): AnswerQuestion {
  let second = 0;
  const asked = new Map<string, number>();

  function take(integrationId: string): boolean {
    const current = Math.floor(now() / SECOND_MS);
    if (current !== second) {
      second = current;
      asked.clear();
    }
    const count = (asked.get(integrationId) ?? 0) + 1;
    asked.set(integrationId, count);
    return count <= MAX_PER_SECOND;
  }

  /** Signed is the word `receipts`, a question mark and the query as it stands: what a delivery's body is otherwise. */
  function judge(
    req: IncomingMessage,
    source: WebhookSource | null,
    query: string,
    pathSecret: string,
  ): IntakeAnswer | null {
    const receivedAt = now();
    const signed = Buffer.from(`${NAME}?${query}`, 'utf8');
    const verdict = (source?.verifier ?? strangerVerifier).check(req.headers, signed, receivedAt, pathSecret);
    if (source === null) return UNAUTHENTICATED;
    if (!verdict.isAuthentic) return verdict.refusal === 'STALE' ? STALE : UNAUTHENTICATED;
    if (!source.isEnabled) return DISABLED;
    return isFresh(source, query, receivedAt) ? null : STALE;
  }

  return async (req, res, integrationId, rest) => {
    const target = req.url ?? '';
    const at = target.indexOf('?');
    const query = at === -1 ? '' : target.slice(at + 1);
    const pathSecret = rest === NAME ? '' : rest.slice(0, -NAME.length - 1);
    const found = sources.get(integrationId);
    const source = found instanceof Promise ? await found : found;
    const refusal = judge(req, source, query, pathSecret);
    if (refusal !== null) return refuse(res, refusal);
    if (!take(integrationId)) return refuse(res, TOO_MANY_QUESTIONS);
    const params = new URLSearchParams(query);
    const question = { eventIds: ids(params, 'eventId'), deliveryIds: ids(params, 'deliveryId') };
    const problem = problemOf(question, query);
    if (problem !== null) return refuse(res, badQuestion(problem));
    tellReceipts(res, await receipts.find(integrationId, question));
  };
}

/**
 * Profiles that do not sign their timestamp need one in the query, which is signed: who overheard a question must not be
 * able to ask it for ever.
 */
function isFresh({ profile, toleranceSeconds }: WebhookSource, query: string, receivedAt: number): boolean {
  if (profile !== 'CONTRACT_V1' && profile !== 'MILESTONE_NATIVE') return true;
  const text = new URLSearchParams(query).get('timestamp') ?? '';
  if (!TIMESTAMP.test(text)) return false;
  return Math.abs(Math.floor(receivedAt / SECOND_MS) - Number(text)) <= toleranceSeconds;
}

function ids(params: URLSearchParams, name: string): readonly string[] {
  return [...new Set(params.getAll(name))];
}

function problemOf(
  { eventIds, deliveryIds }: { readonly eventIds: readonly string[]; readonly deliveryIds: readonly string[] },
  query: string,
): string | null {
  if (query.length > MAX_QUERY_CHARACTERS) return `A query has at most ${MAX_QUERY_CHARACTERS} characters.`;
  if (eventIds.length + deliveryIds.length === 0) return 'Name what you ask for: eventId or deliveryId, also several.';
  if (eventIds.length > MAX_EVENT_IDS) return `At most ${MAX_EVENT_IDS} eventId at once.`;
  if (deliveryIds.length > MAX_DELIVERY_IDS) return `At most ${MAX_DELIVERY_IDS} deliveryId at once.`;
  const isOdd = [...eventIds, ...deliveryIds].some((id) => id === '' || id.length > MAX_ID_CHARACTERS);
  return isOdd ? `An id has 1 to ${MAX_ID_CHARACTERS} characters.` : null;
}
