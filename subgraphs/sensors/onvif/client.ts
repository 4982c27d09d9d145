/**
 * ONVIF as far as events need it: clock, identity, pull-point. SOAP 1.2 with a WS-Security user name token.
 *
 * @see ONVIF Core Specification, "Event service"; OASIS WS-Security UsernameToken Profile 1.0
 */
import { createHash, randomBytes } from 'node:crypto';
import { AdapterError } from '../../../adapter-kit/adapter-error.ts';
import type { HttpClient } from '../../../adapter-kit/http/http-client.ts';
import type { Login } from '../client.ts';
import { encodeText, find, findAll, parseXml, type XmlElement, XmlError } from './xml.ts';

/** A device holds an answer back as long as this when it has nothing to say; all must allow it. */
export const PULL_SECONDS = 30;
/** The subscription outlives a few lost pulls, and not much more: devices have few places for them. */
const SUBSCRIPTION_SECONDS = 120;
/** A hundred would come close to what one delivery may hold. */
const MESSAGE_LIMIT = 50;
const CONTENT_TYPE = 'application/soap+xml; charset=utf-8';
/** Faults come with 400 or 500 and say why in their body. */
const FAULTS = [400, 500];

const WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';
const WSU = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd';
const DIGEST = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest';
const TDS = 'http://www.onvif.org/ver10/device/wsdl';
const TEV = 'http://www.onvif.org/ver10/events/wsdl';
const WSNT = 'http://docs.oasis-open.org/wsn/b-2';
const WSA = 'http://www.w3.org/2005/08/addressing';

export interface OnvifIdentity {
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly firmware: string | null;
  readonly serialNumber: string | null;
}

export interface PullPoint {
  /** Waits for messages; the answer is handed on as it came. */
  pull(signal: AbortSignal): Promise<string>;
  unsubscribe(signal: AbortSignal): Promise<void>;
}

export interface OnvifClient {
  /** How far the device's clock is ahead of ours, in milliseconds. Needs no login. */
  clockSkewMs(signal: AbortSignal): Promise<number>;
  identity(signal: AbortSignal): Promise<OnvifIdentity>;
  subscribe(signal: AbortSignal): Promise<PullPoint>;
}

export interface OnvifOptions {
  readonly http: HttpClient;
  readonly path: string;
  readonly login: Login | null;
  readonly now: () => Date;
}

export function createOnvifClient({ http, path, login, now }: OnvifOptions): OnvifClient {
  let skewMs: number | null = null;

  function security(): string {
    if (login === null) return '';
    const nonce = randomBytes(16);
    const created = new Date(now().getTime() + (skewMs ?? 0)).toISOString();
    const digest = createHash('sha1').update(nonce).update(created).update(login.password).digest('base64');
    return (
      `<wsse:Security xmlns:wsse="${WSSE}" xmlns:wsu="${WSU}" s:mustUnderstand="1"><wsse:UsernameToken>` +
      `<wsse:Username>${encodeText(login.username)}</wsse:Username><wsse:Password Type="${DIGEST}">${digest}</wsse:Password>` +
      `<wsse:Nonce>${nonce.toString('base64')}</wsse:Nonce><wsu:Created>${created}</wsu:Created></wsse:UsernameToken></wsse:Security>`
    );
  }

  interface Call {
    readonly path: string;
    readonly body: string;
    readonly signal: AbortSignal;
    readonly action?: string;
    readonly isOpen?: boolean;
    readonly timeoutMs?: number;
    readonly isIdempotent?: boolean;
  }

  async function call({
    path: to,
    body,
    signal,
    action,
    isOpen,
    timeoutMs,
    isIdempotent,
  }: Call): Promise<{ readonly text: string; readonly root: XmlElement }> {
    const addressing =
      action === undefined
        ? ''
        : `<wsa:Action xmlns:wsa="${WSA}">${action}</wsa:Action><wsa:To xmlns:wsa="${WSA}">${encodeText(to)}</wsa:To>`;
    const envelope =
      `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">` +
      `<s:Header>${isOpen === true ? '' : security()}${addressing}</s:Header><s:Body>${body}</s:Body></s:Envelope>`;
    const answer = await http.request({
      method: 'POST',
      path: to,
      headers: { accept: 'application/soap+xml' },
      text: {
        contentType: action === undefined ? CONTENT_TYPE : `${CONTENT_TYPE}; action="${action}"`,
        body: envelope,
      },
      signal,
      answers: FAULTS,
      isIdempotent: isIdempotent ?? true,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    const text = Buffer.from(answer.body).toString('utf8');
    let root: XmlElement;
    try {
      root = parseXml(text);
    } catch (error) {
      if (!(error instanceof XmlError)) throw error;
      if (answer.status >= 400)
        throw new AdapterError('UNREACHABLE', `the device answered ${answer.status}`, { status: answer.status });
      throw new AdapterError('BAD_PAYLOAD', `the device answered no SOAP: ${error.message}`);
    }
    const fault = find(root, 'Fault');
    if (fault !== undefined) {
      const failure = faultOf(fault, answer.status);
      // Somebody may have set its clock: the next call looks at it anew.
      if (failure.code === 'UNAUTHENTICATED') skewMs = null;
      throw failure;
    }
    return { text, root };
  }

  async function clockSkewMs(signal: AbortSignal): Promise<number> {
    const { root } = await call({ path, body: `<GetSystemDateAndTime xmlns="${TDS}"/>`, signal, isOpen: true });
    const utc = find(root, 'UTCDateTime');
    const part = (name: string): number =>
      Number((utc === undefined ? undefined : find(utc, name))?.text ?? Number.NaN);
    const device = Date.UTC(part('Year'), part('Month') - 1, part('Day'), part('Hour'), part('Minute'), part('Second'));
    // A device that does not tell its clock is taken to have ours.
    skewMs = Number.isNaN(device) ? 0 : device - now().getTime();
    return skewMs;
  }

  async function ready(signal: AbortSignal): Promise<void> {
    if (skewMs === null && login !== null) await clockSkewMs(signal);
  }

  /** The service's path; behind NAT a device gives an address of its own network, so only the path counts. */
  async function eventPath(signal: AbortSignal): Promise<string> {
    const { root } = await call({
      path,
      body: `<GetServices xmlns="${TDS}"><IncludeCapability>false</IncludeCapability></GetServices>`,
      signal,
    });
    const service = [...findAll(root, 'Service')].find((each) => find(each, 'Namespace')?.text === TEV);
    const address = service === undefined ? undefined : find(service, 'XAddr')?.text;
    const url = address === undefined ? null : URL.parse(address);
    if (url === null) throw new AdapterError('NOT_SUPPORTED', 'the device has no event service');
    return url.pathname + url.search;
  }

  return {
    clockSkewMs,
    async identity(signal) {
      await ready(signal);
      const { root } = await call({ path, body: `<GetDeviceInformation xmlns="${TDS}"/>`, signal });
      const text = (name: string): string | null => find(root, name)?.text || null;
      return {
        manufacturer: text('Manufacturer'),
        model: text('Model'),
        firmware: text('FirmwareVersion'),
        serialNumber: text('SerialNumber'),
      };
    },
    async subscribe(signal) {
      await ready(signal);
      const events = await eventPath(signal);
      const body = `<CreatePullPointSubscription xmlns="${TEV}"><InitialTerminationTime>PT${SUBSCRIPTION_SECONDS}S</InitialTerminationTime></CreatePullPointSubscription>`;
      const action = `${TEV}/EventPortType/CreatePullPointSubscriptionRequest`;
      const { root } = await call({ path: events, body, action, signal, isIdempotent: false });
      const reference = find(root, 'SubscriptionReference');
      const url = URL.parse((reference === undefined ? undefined : find(reference, 'Address'))?.text ?? '');
      if (url === null) throw new AdapterError('BAD_PAYLOAD', 'the device made a subscription without an address');
      const to = url.pathname + url.search;
      return {
        async pull(patience) {
          const pull = `<PullMessages xmlns="${TEV}"><Timeout>PT${PULL_SECONDS}S</Timeout><MessageLimit>${MESSAGE_LIMIT}</MessageLimit></PullMessages>`;
          const asked = {
            path: to,
            body: pull,
            action: `${TEV}/PullPointSubscription/PullMessagesRequest`,
            signal: patience,
          };
          // Messages that were answered are gone: nothing is asked twice.
          const { text } = await call({ ...asked, timeoutMs: (PULL_SECONDS + 10) * 1_000, isIdempotent: false });
          return text;
        },
        async unsubscribe(patience) {
          const end = `<Unsubscribe xmlns="${WSNT}"/>`;
          await call({
            path: to,
            body: end,
            action: `${WSNT}/SubscriptionManager/UnsubscribeRequest`,
            signal: patience,
            isIdempotent: false,
          });
        },
      };
    },
  };
}

function faultOf(fault: XmlElement, status: number): AdapterError {
  const words = [...findAll(fault, 'Value'), ...findAll(fault, 'Text')].map(({ text }) => text).join(' ');
  if (/NotAuthorized|FailedAuthentication|not authorized/i.test(words))
    return new AdapterError('UNAUTHENTICATED', 'the device refused user name and password', { status });
  if (/MaxPullPoints|SubscribeCreationFailed|too many/i.test(words))
    return new AdapterError('RATE_LIMITED', 'the device has no place for another subscription', {
      status,
      retryAfterMs: 60_000,
    });
  if (/ActionNotSupported|OptionalActionNotImplemented/i.test(words))
    return new AdapterError('NOT_SUPPORTED', 'the device cannot do this', { status });
  return new AdapterError('UNREACHABLE', 'the device answered with a fault', { status });
}
