import { createHmac, randomUUID } from 'node:crypto';

// Deliveries in the vendor contract's words, signed as profile CONTRACT_V1 says, as bytes for the wire.

/** What an account speaks of. */
export interface Listed {
  readonly accountId: string;
  readonly devices: readonly { readonly nativeId: string; readonly siteId: string }[];
}

/** Where deliveries go, and whose they are. */
export interface Sender extends Listed {
  readonly path: string;
  readonly secret: string;
}

export function httpRequest(path: string, headers: Readonly<Record<string, string>>, body: string): Buffer {
  const head = Object.entries({ host: 'bench', 'content-type': 'application/json', ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/**
 * One event with an id of its own. Devices take turns.
 *
 * @param number which one of its run: the state of a device changes with each turn
 * @param round turns states round, so that a run begins with changes too
 * @param bytes length of the event at least
 */
export function contractEvent(
  { accountId, devices }: Listed,
  { number, round, at, bytes }: { number: number; round: number; at: Date; bytes: number },
) {
  const device = devices[number % devices.length];
  const event = {
    event_id: randomUUID(),
    event_type: 'health',
    device_id: device?.nativeId,
    timestamp: at.toISOString(),
    account_id: accountId,
    site_id: device?.siteId,
    data: { status: Math.floor(number / devices.length) % 2 === round % 2 ? 'offline' : 'online', note: '' },
  };
  if (bytes > 0) event.data.note = 'x'.repeat(Math.max(0, bytes - JSON.stringify(event).length));
  return event;
}

/** @param signedAt milliseconds since the epoch */
export function signedRequest({ path, secret }: Sender, body: string, signedAt: number): Buffer {
  const mac = createHmac('sha256', secret).update(body).digest('hex');
  const timestamp = String(Math.floor(signedAt / 1_000));
  return httpRequest(path, { 'x-webhook-signature': `sha256=${mac}`, 'x-webhook-timestamp': timestamp }, body);
}
