import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasScope } from '../../schema/principal.ts';
import type { OnSiteExport } from '../../storage/on-site-export.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { Refusal } from '../refusal.ts';
import { JSON_TYPE } from './answer.ts';

/** Streams one JSON object with one list, portion by portion: a slow reader holds the reading up, not our memory. */
async function sendList(
  response: ServerResponse,
  member: string,
  portions: AsyncIterable<readonly object[]>,
): Promise<void> {
  response.writeHead(200, { 'content-type': `${JSON_TYPE}; charset=utf-8` });
  response.write(`{"${member}":[`);
  let isFirst = true;
  for await (const portion of portions) {
    if (response.destroyed) return;
    const text = portion.map((entry) => JSON.stringify(entry)).join(',');
    if (text !== '' && !response.write(`${isFirst ? '' : ','}${text}`)) {
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
    }
    isFirst = false;
  }
  response.end(']}');
}

/**
 * `GET /export/on-prem/{orgId}/inventory` and `…/health`: an org's devices in exactly the shape in which an adapter on site
 * pushes them, for systems that read that shape. Needs `inventory:read`; an org outside of the scope does not exist.
 *
 * @throws Refusal `UNAUTHENTICATED`, `FORBIDDEN` or `NOT_FOUND`
 */
export async function answerOnSiteExport(
  request: IncomingMessage,
  response: ServerResponse,
  orgId: string,
  what: string,
  { authenticator, exports }: { readonly authenticator: Authenticator; readonly exports: OnSiteExport },
): Promise<void> {
  const principal = await authenticator.authenticate(request.headers.authorization);
  if (!hasScope(principal, 'inventory:read'))
    throw new Refusal(403, 'FORBIDDEN', 'This needs the scope inventory:read.');
  const { access } = principal;
  const customerId = await exports.customerOf(access, orgId);
  if (customerId === null) throw new Refusal(404, 'NOT_FOUND', 'There is no such org.');
  if (what === 'health') await sendList(response, 'events', exports.health(access, orgId));
  else await sendList(response, 'devices', exports.inventory(access, orgId, customerId));
}
