import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { createClient } from 'graphql-ws';
import { afterAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { deliver, eventually, healthEvent, type Json, query, SimulatedDevices, watch } from '../e2e/rig.ts';
import { type SandboxProcess, sandboxFolder, startSandboxProcess } from './sandbox-process.ts';

const folder = sandboxFolder();
let product: SandboxProcess;
const SENDERS = 8;
/** What a stop may take; process managers kill after some more. */
const MAX_STOP_MS = 10_000;
const DOCUMENT =
  'subscription($after: String) { events(after: $after) { __typename ... on EventDelivered { cursor event { vendorEventId } } } }';

afterAll(async () => {
  await product?.kill();
  folder.remove();
});

describe('a stop while deliveries and streams are under way', () => {
  it('answers what came, tells subscribers to come back, loses nothing, and is over within ten seconds', async () => {
    product = await startSandboxProcess(folder.dir);
    const { credentials, port } = product;
    const [integration] = credentials.integrations;
    if (integration === undefined) throw new Error('no integration');
    const devices = SimulatedDevices.parse(await (await fetch(`${integration.simulatorUrl}/_sim/devices`)).json());
    const [device] = devices;
    if (device === undefined) throw new Error('no device');
    await deliver(integration, healthEvent(device, 'offline', new Date(), 'first'));
    const start = await eventually(async () => {
      const { data } = await query(product, '{ events(first: 1) { pageInfo { startCursor } } }');
      return (data.events.pageInfo.startCursor as string | null) ?? undefined;
    }, 'there is an event');

    const closed: { code: number; reason: string }[] = [];
    const items: Json[] = [];
    const client = createClient({
      url: credentials.wsUrl,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: { authorization: `Bearer ${credentials.tokens['admin']}` },
      on: {
        closed: (event) => {
          const { code, reason } = event as { code: number; reason: string };
          closed.push({ code, reason });
        },
      },
    });
    client.subscribe(
      { query: DOCUMENT, variables: { after: start } },
      { next: (item) => items.push(item), error: () => undefined, complete: () => undefined },
    );
    const received = (list: readonly Json[]): string[] =>
      list.flatMap(({ data }) => data?.events.event?.vendorEventId ?? []);

    const acknowledged: string[] = [];
    const refused: number[] = [];
    let isStopped = false;
    const send = async (index: number): Promise<void> => {
      while (!isStopped) {
        const id = randomUUID();
        const status = await deliver(integration, healthEvent(device, index % 2 ? 'online' : 'offline', new Date(), id))
          .then((answer) => answer.status)
          // Refused connections: it does not listen any more. Senders come again.
          .catch(() => 0);
        if (status === 202) acknowledged.push(id);
        else refused.push(status);
      }
    };
    const sending = Promise.all(Array.from({ length: SENDERS }, (_, index) => send(index)));
    await eventually(() => (received(items).length > 50 ? true : undefined), 'events flow');

    const ended = once(product.child, 'exit');
    const startedAt = performance.now();
    product.child.kill('SIGTERM');
    const [code] = await ended;
    const tookMs = performance.now() - startedAt;
    isStopped = true;
    await sending;
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(MAX_STOP_MS);
    await eventually(() => (closed.length > 0 ? true : undefined), 'the subscriber knows');
    // Going away: reconnect, resume with the last cursor.
    expect(closed[0]?.code).toBe(1001);
    // What it did not take it said so, or did not listen to; nobody was left without an answer that had one coming.
    expect(refused.filter((status) => status !== 0 && status !== 503)).toEqual([]);

    product = await startSandboxProcess(folder.dir, port);
    const cursor = items.findLast(({ data }) => data?.events.cursor !== undefined)?.data.events.cursor;
    const feed = watch(product, DOCUMENT, { after: cursor });
    try {
      const all = () => [...received(items), ...received(feed.items)];
      await eventually(
        () => (acknowledged.every((id) => all().includes(id)) ? true : undefined),
        'everything that was acknowledged arrives',
      );
      expect(all().length).toBe(new Set(all()).size);
    } finally {
      await feed.close();
      await client.dispose();
    }
  });
});
