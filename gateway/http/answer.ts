import type { ServerResponse } from 'node:http';
import type { Refusal } from '../refusal.ts';

export const JSON_TYPE = 'application/json';
export const GRAPHQL_TYPE = 'application/graphql-response+json';

/** Headers of every answer. Nothing here is for caches: each answer is for one principal. */
const HEADERS: readonly (readonly [string, string])[] = [
  ['x-content-type-options', 'nosniff'],
  ['referrer-policy', 'no-referrer'],
  ['x-frame-options', 'DENY'],
  ['cache-control', 'no-store'],
  // For everything but the playground, which sets its own.
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
];

/** Sets what every answer carries. */
export function prepareAnswer(response: ServerResponse, requestId: string): void {
  response.setHeader('x-request-id', requestId);
  for (const [name, value] of HEADERS) response.setHeader(name, value);
}

/** @param type media type, without charset */
export function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'content-length': Buffer.byteLength(text) });
  // As text it leaves in one write together with the headers.
  response.end(text);
}

export function sendJson(response: ServerResponse, status: number, value: object): void {
  sendText(response, status, JSON_TYPE, JSON.stringify(value));
}

/** Refusals have the form of a GraphQL response on every path: clients need one way to read them. */
export function sendRefusal(response: ServerResponse, refusal: Refusal, requestId: string, type = JSON_TYPE): void {
  // The beginning of an answer cannot be taken back.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
  sendText(response, refusal.status, type, JSON.stringify({ errors: [refusal.toGraphQLError(requestId)] }));
}
