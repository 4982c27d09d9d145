import type {
  CustomEventDraft,
  DevicePage,
  DeviceRef,
  InboundMessage,
  LiveDevice,
  LivePlatform,
  MediaContent,
  MediaRef,
  SiteDraft,
} from './model.ts';
import type { SignatureProfile } from '../schema/words.ts';

/** One named step of a credential test. Those after a FAIL are SKIPPED. */
export interface ProbeCheck {
  /** Stable, for example `dns`, `tcp`, `tls`, `credentials`, `permission`, `inventory`, `event-channel`. */
  readonly id: string;
  readonly title: string;
  readonly state: 'PASS' | 'WARN' | 'FAIL' | 'SKIPPED';
  /** What was found; never a credential. */
  readonly detail: string | null;
}

export interface ProbeReport {
  readonly checks: readonly ProbeCheck[];
  readonly accountId: string | null;
  readonly accountName: string | null;
}

/** Whose inventory a credential shows. */
export interface VendorAccount {
  readonly id: string;
  readonly name: string | null;
}

/** Where the platform is to deliver. */
export interface WebhookTarget {
  readonly url: string;
  readonly profile: SignatureProfile;
  /** Ours; a platform that makes its own answers with it. */
  readonly secret: string;
}

/** What the platform made of a registration. */
export interface WebhookRegistration {
  readonly nativeId: string;
  /** The secret that the platform will sign with: ours, or the one it made. */
  readonly secret: string;
}

/** What a long-lived connection delivers: messages for the inbox, and how to go on after a break. */
export interface ListenItem {
  readonly message: InboundMessage;
  /** Where to resume after this message; null when the platform cannot. */
  readonly resumeToken: string | null;
}

/**
 * Our code that speaks to one platform with one credential. Every call is bounded by `signal`, throws AdapterError, and
 * may run beside others. Nothing is stored here: who calls decides what an answer means.
 */
export interface Adapter {
  /** Tries everything the integration needs, one named check at a time. Does not throw for a failed check. */
  probe(signal: AbortSignal): Promise<ProbeReport>;

  /**
   * The vendor account behind the credential, for platforms that can tell: another one than before means that another
   * customer's inventory would be read. One call; asked before every listing.
   *
   * @returns null when the platform does not say this time
   */
  readAccount?(signal: AbortSignal): Promise<VendorAccount | null>;

  /** Every site of the account. */
  listSites(signal: AbortSignal): Promise<readonly SiteDraft[]>;

  /** The whole inventory, page by page. A page that cannot be read throws: what was yielded before it stays good. */
  listDevices(signal: AbortSignal): AsyncIterable<DevicePage>;

  /**
   * Live reads in batches: one platform call where the platform allows it, never one per device unless it forces us to
   * (bounded concurrency then). Devices that the platform no longer has are left out of the answer.
   *
   * @param refs at most 500, all of this integration
   */
  readDevices(refs: readonly DeviceRef[], signal: AbortSignal): Promise<ReadonlyMap<string, LiveDevice>>;

  /** The platform itself, live. */
  readPlatform(signal: AbortSignal): Promise<LivePlatform>;

  /** Live list of devices for one page of `Platform.devices`; `after` is what `next` said before. */
  pageDevices(
    first: number,
    after: string | null,
    signal: AbortSignal,
  ): Promise<{ readonly devices: readonly LiveDevice[]; readonly next: string | null }>;

  /** For platforms that hold a connection: runs until `signal` fires, throws AdapterError when the connection is lost. */
  listen?(resumeToken: string | null, signal: AbortSignal): AsyncIterable<ListenItem>;

  /** For platforms with a webhook API: tells it where to deliver. Idempotent for the same url. */
  registerWebhook?(target: WebhookTarget, signal: AbortSignal): Promise<WebhookRegistration>;
  unregisterWebhook?(nativeId: string, signal: AbortSignal): Promise<void>;

  /**
   * For platforms that take events of others: creates one at a device, usually a camera, so that it stands in the
   * platform's own timeline. Passes the metadata on as it is.
   *
   * @throws AdapterError; what waiting can help is tried again with the same `idempotencyKey`
   */
  createCustomEvent?(ref: DeviceRef, event: CustomEventDraft, signal: AbortSignal): Promise<void>;

  /**
   * For platforms whose pictures and clips take our credentials, or a question first: opens one. Absent: its address is
   * opened as it is, without credentials. The bytes are bounded by whoever asks; `signal` ends the reading, too.
   *
   * @throws AdapterError; NOT_FOUND when the platform has it no longer
   */
  openMedia?(media: MediaRef, signal: AbortSignal): Promise<MediaContent>;

  /** Gives back sockets and tokens. */
  close(): Promise<void>;
}
