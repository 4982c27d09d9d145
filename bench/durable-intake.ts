import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import type { RequestListener, ServerResponse } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';

const PlainEvent = z.object({
  event_id: z.string(),
  event_type: z.string(),
  device_id: z.string(),
  timestamp: z.iso.datetime(),
  account_id: z.string(),
  site_id: z.string(),
  data: z.object({ status: z.string(), note: z.string() }),
});
type PlainEvent = z.infer<typeof PlainEvent>;

const PlainBatch = z.object({ events: z.array(PlainEvent) });

interface Stored {
  readonly body: Buffer;
  readonly events: readonly PlainEvent[];
  readonly response: ServerResponse;
}

/** @throws ZodError, SyntaxError */
function parseEvents(body: Buffer): readonly PlainEvent[] {
  const json: unknown = JSON.parse(body.toString());
  const isBatch = typeof json === 'object' && json !== null && 'events' in json;
  return isBatch ? PlainBatch.parse(json).events : [PlainEvent.parse(json)];
}

/**
 * The least that an intake can do: checks the HMAC, parses and validates the events of a delivery, stores it in one table
 * with group commit, and answers when it is on disk.
 *
 * @param onStored what is done with each event then; default nothing
 */
export function durableIntake(
  { secret, file }: { readonly secret: string; readonly file: string },
  onStored?: (event: PlainEvent, body: string) => void,
): RequestListener {
  const key = createSecretKey(Buffer.from(secret));
  const db = new DatabaseSync(file);
  db.exec(
    'pragma journal_mode=wal; pragma synchronous=full; create table deliveries (id integer primary key, body blob not null)',
  );
  const insert = db.prepare('insert into deliveries (body) values (?)');
  let queue: Stored[] = [];
  let isFlushing = false;
  const flush = (): void => {
    const batch = queue;
    queue = [];
    isFlushing = false;
    db.exec('begin immediate');
    for (const { body } of batch) insert.run(body);
    db.exec('commit');
    for (const { response } of batch) response.writeHead(202, { 'content-length': 2 }).end('{}');
    if (onStored === undefined) return;
    for (const { events, body } of batch) for (const event of events) onStored(event, body.toString());
  };
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const expected = createHmac('sha256', key).update(body).digest();
      const offered = Buffer.from(String(request.headers['x-webhook-signature']).slice('sha256='.length), 'hex');
      try {
        if (offered.length !== expected.length || !timingSafeEqual(expected, offered)) throw new Error('not authentic');
        queue.push({ body, events: parseEvents(body), response });
      } catch {
        response.writeHead(401, { 'content-length': 2 }).end('{}');
        return;
      }
      if (!isFlushing) setImmediate(flush);
      isFlushing = true;
    });
  };
}
