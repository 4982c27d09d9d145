// The platform's own webhooks: Base64 HMAC over the body, three attempts, and a 400 is final.
import { createHmac } from 'node:crypto';
import { createSequentialSender, type Message } from '../../../adapter-kit/simulator-kit/sequential-sender.ts';
import type { Platform, PlatformEvent } from './platform.ts';
import { type World, type WorldDevice } from './world.ts';

export interface Hook {
  readonly url: string;
  readonly secret: string;
}

/** The real platform waits thirty seconds before each of the two. */
const RETRY_AFTER_MS = [500, 500];
/** What rules of a usual system forward: everything but motion and recording. */
const NOT_FORWARDED = /^(motion|recording|liveclient|systemconfiguration)/i;

const KINDS: Readonly<Record<string, string>> = {
  recordingServers: '3b25fe94-7c2f-499a-86df-2fa68aa3e1b5',
  cameras: '5135ba21-f1dc-4321-806a-6ce2017343c0',
  microphones: 'df6284f6-18ee-4506-b8c4-65b5f31a140c',
  speakers: 'b77d68fc-b231-441b-8eb5-901c89234111',
  inputEvents: '5fc737a9-bbf6-4473-a421-7e8075d45d9c',
  outputs: 'cbaaa726-a089-4db6-8f0d-48772e595b1b',
  userDefinedEvents: 'c9bdac3f-41dc-4afa-b057-61767a3914b7',
};
/** Of hardware and metadata no kind is known to us: the platform's are others. */
const SOME_KIND = 'aaaaaaaa-0000-4000-8000-000000000001';

function bodyOf(world: World, name: string, event: PlatformEvent, device: WorldDevice | null): string {
  const [collection = '', id = ''] = event.source.split('/');
  return JSON.stringify({
    Event: {
      EventHeader: {
        ID: event.id,
        Timestamp: event.time,
        Type: 'System Event',
        Version: '1.0',
        Priority: 1,
        PriorityName: 'High',
        Name: name,
        Message: name,
        Source: {
          Name: device?.name ?? name,
          FQID: {
            ServerId: { Type: 'XPCORS', Hostname: 'rec01', Port: 7_563, Id: world.siteId, Scheme: 'http' },
            ParentId: device?.parentId ?? world.siteId,
            ObjectId: id,
            FolderType: 0,
            Kind: KINDS[collection] ?? SOME_KIND,
          },
        },
        MessageId: event.type,
      },
    },
    Site: { ServerHostname: 'vms01', AbsoluteUri: 'http://vms01.example.test/', ServerType: 'XPCO' },
  });
}

export interface WebhookSenderParts {
  readonly platform: Platform;
  readonly hooks: () => readonly Hook[];
  readonly isDown: () => boolean;
  readonly isEmptyToken: () => boolean;
}

export function createWebhookSender({ platform, hooks, isDown, isEmptyToken }: WebhookSenderParts) {
  const sender = createSequentialSender({
    retryAfterMs: RETRY_AFTER_MS,
    isFinal: (status) => status === 400 || (status >= 200 && status <= 299),
    messagesOf: (body) => hooks().map((hook) => messageTo(hook, body)),
  });

  const stop = platform.listen((event, device) => {
    const name = platform.nameOfType(event.type);
    if (hooks().length === 0 || NOT_FORWARDED.test(name) || isDown()) return;
    sender.send(bodyOf(platform.world, name, event, device));
  });

  function messageTo({ url, secret }: Hook, body: string): Message {
    const request = () => {
      const key = isEmptyToken() ? '' : secret;
      return {
        url,
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'x-milestone-api-version': 'v1.0',
          'x-hub-signature-256': `sha256=${createHmac('sha256', key).update(body).digest('base64')}`,
        },
      };
    };
    return { body, request };
  }

  return {
    close(): void {
      stop();
      sender.close();
    },
  };
}
