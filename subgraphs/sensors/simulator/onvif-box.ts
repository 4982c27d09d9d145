// An ONVIF access controller: clock (ten minutes ahead), identity, one event service with pull-points.
import { createHash } from 'node:crypto';
import { encodeText, find, parseXml } from '../onvif/xml.ts';
import type { FaultBoard } from './faults.ts';

const SKEW_MS = 600_000;
const FRESH_MS = 300_000;
const MAX_QUEUED = 1_000;
const SOAP = 'http://www.w3.org/2003/05/soap-envelope';

export interface Notice {
  readonly topic: string;
  readonly operation?: 'Initialized' | 'Changed';
  readonly source: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
}

interface Point {
  readonly queue: string[];
  wake: (() => void) | null;
}

export interface OnvifBox {
  answer(path: string, body: string, gone: AbortSignal): Promise<{ readonly status: number; readonly body: string }>;
  notify(notice: Notice): void;
  readonly points: () => number;
  /** Ends every pull that waits. */
  close(): void;
}

export interface OnvifBoxOptions {
  readonly login: { readonly username: string; readonly password: string };
  readonly serialNumber: string;
  readonly board: FaultBoard;
  readonly now: () => Date;
}

function envelope(body: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="${SOAP}" xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body>${body}</s:Body></s:Envelope>`;
}

function fault(code: string, text: string): { readonly status: number; readonly body: string } {
  const subcode = `<s:Subcode><s:Value>ter:${code}</s:Value></s:Subcode>`;
  return {
    status: 400,
    body: envelope(
      `<s:Fault><s:Code><s:Value>s:Sender</s:Value>${subcode}</s:Code><s:Reason><s:Text xml:lang="en">${text}</s:Text></s:Reason></s:Fault>`,
    ),
  };
}

export function createOnvifBox({ login, serialNumber, board, now }: OnvifBoxOptions): OnvifBox {
  const points = new Map<string, Point>();
  const properties = new Map<string, Notice>();
  let made = 0;
  const clock = (): Date => new Date(now().getTime() + SKEW_MS);

  function isAuthentic(body: string): boolean {
    const token = find(parseXml(body), 'UsernameToken');
    const text = (name: string): string => (token === undefined ? undefined : find(token, name)?.text) ?? '';
    const created = text('Created');
    const wanted = createHash('sha1')
      .update(Buffer.from(text('Nonce'), 'base64'))
      .update(created)
      .update(login.password)
      .digest('base64');
    const isFresh = Math.abs(Date.parse(created) - clock().getTime()) < FRESH_MS;
    return text('Username') === login.username && text('Password') === wanted && isFresh;
  }

  function messageOf({ topic, operation = 'Changed', source, data }: Notice): string {
    const utc = now().toISOString();
    const at = board.current.onvifWithoutZ ? utc.slice(0, -1) : utc;
    const items = (of: Readonly<Record<string, string>>): string =>
      Object.entries(of)
        .map(([name, value]) => `<tt:SimpleItem Name="${encodeText(name)}" Value="${encodeText(value)}"/>`)
        .join('');
    return (
      `<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">tns1:${topic}</wsnt:Topic>` +
      `<wsnt:Message><tt:Message UtcTime="${at}" PropertyOperation="${operation}"><tt:Source>${items(source)}</tt:Source><tt:Data>${items(data)}</tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>`
    );
  }

  /** The address is of the device's own network: behind NAT nobody can use it. */
  const inside = (path: string): string => `http://192.168.77.5${path}`;

  async function pull(id: string, gone: AbortSignal): Promise<{ readonly status: number; readonly body: string }> {
    const point = points.get(id);
    if (point === undefined) return fault('InvalidArgVal', 'no such subscription');
    if (point.queue.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      point.wake = resolve;
      const timer = setTimeout(resolve, 20_000);
      gone.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      clearTimeout(timer);
      point.wake = null;
    }
    const messages = point.queue.splice(0, 100).join('');
    return {
      status: 200,
      body: envelope(`<tev:PullMessagesResponse xmlns:tev="e" xmlns:wsnt="n">${messages}</tev:PullMessagesResponse>`),
    };
  }

  async function act(
    path: string,
    body: string,
    gone: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: string }> {
    if (body.includes('GetSystemDateAndTime')) {
      const at = clock();
      const time = `<tt:Hour>${at.getUTCHours()}</tt:Hour><tt:Minute>${at.getUTCMinutes()}</tt:Minute><tt:Second>${at.getUTCSeconds()}</tt:Second>`;
      const date = `<tt:Year>${at.getUTCFullYear()}</tt:Year><tt:Month>${at.getUTCMonth() + 1}</tt:Month><tt:Day>${at.getUTCDate()}</tt:Day>`;
      return {
        status: 200,
        body: envelope(`<r><tt:UTCDateTime><tt:Time>${time}</tt:Time><tt:Date>${date}</tt:Date></tt:UTCDateTime></r>`),
      };
    }
    if (!isAuthentic(body)) return fault('NotAuthorized', 'Sender not Authorized');
    if (body.includes('GetDeviceInformation'))
      return {
        status: 200,
        body: envelope(
          `<r><Manufacturer>Acme Access</Manufacturer><Model>AC-2</Model><FirmwareVersion>3.1.4</FirmwareVersion><SerialNumber>${serialNumber}</SerialNumber></r>`,
        ),
      };
    if (body.includes('GetServices'))
      return {
        status: 200,
        body: envelope(
          `<r><Service><Namespace>http://www.onvif.org/ver10/events/wsdl</Namespace><XAddr>${inside('/onvif/event_service')}</XAddr></Service></r>`,
        ),
      };
    if (body.includes('CreatePullPointSubscription')) {
      if (points.size >= board.current.maxPullPoints) return fault('MaxPullPoints', 'too many subscriptions');
      made += 1;
      points.set(String(made), {
        queue: [...properties.values()].map((notice) => messageOf({ ...notice, operation: 'Initialized' })),
        wake: null,
      });
      return {
        status: 200,
        body: envelope(
          `<r><SubscriptionReference><Address>${inside(`/onvif/pull/${made}`)}</Address></SubscriptionReference></r>`,
        ),
      };
    }
    const id = path.split('/').at(-1) ?? '';
    if (body.includes('PullMessages')) return pull(id, gone);
    if (body.includes('Unsubscribe')) {
      points.get(id)?.wake?.();
      points.delete(id);
      return { status: 200, body: envelope('<r/>') };
    }
    return fault('ActionNotSupported', 'no such action');
  }

  return {
    answer: act,
    notify(notice) {
      if (notice.topic.includes('State') || notice.topic.includes('Trigger'))
        properties.set(`${notice.topic} ${JSON.stringify(notice.source)}`, notice);
      for (const { queue, wake } of points.values()) {
        if (queue.length < MAX_QUEUED) queue.push(messageOf(notice));
        wake?.();
      }
    },
    points: () => points.size,
    close() {
      for (const { wake } of points.values()) wake?.();
    },
  };
}
