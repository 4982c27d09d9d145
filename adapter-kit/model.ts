import type {
  AccessOutcome,
  DeviceCapability,
  DeviceRelation,
  DeviceState,
  DeviceType,
  EventFamily,
  EvidenceSource,
  Severity,
  SignatureProfile,
  StatusReason,
  ZoneKind,
} from '../schema/words.ts';

// What a vendor's code hands over. It knows native ids only; ours are given by the store that receives a draft.

/** A site as a platform knows it. */
export interface SiteDraft {
  /** The account at the vendor; empty where the platform knows no accounts. */
  readonly nativeOrgId: string;
  readonly nativeId: string;
  readonly name: string;
  readonly address: string | null;
  readonly coordinates: { readonly latitude: number; readonly longitude: number } | null;
  /** IANA; null when the platform does not tell or the name is not one. */
  readonly timezone: string | null;
  readonly deviceCount: number | null;
}

/** One source's word on how a device is. */
export interface StatusClaim {
  readonly state: DeviceState;
  readonly reason: StatusReason | null;
  /** The platform's own word. */
  readonly vendorState: string | null;
  /** When it was so, by the source's clock; null: when the answer was asked for. */
  readonly observedAt: Date | null;
  /**
   * For claims that only prove that the device speaks: a device that is DEGRADED for one of these reasons stays so, because
   * a detector with a low battery goes on reporting. Absent: the claim says all there is to say.
   */
  readonly keepsDegraded?: readonly StatusReason[];
}

export interface TelemetryDraft {
  readonly batteryPercent?: number;
  readonly signal?: number;
  readonly signalUnit?: string;
  readonly armed?: boolean;
  readonly auxPower?: boolean;
  readonly recording?: boolean;
  readonly storageFreePercent?: number;
}

/**
 * Another device that belongs to this one, of any integration of the same org. It is looked up whenever it is asked for:
 * the other one may be listed later, by another platform. A name that several devices answer to links none of them.
 */
export interface DeviceLinkDraft {
  /** WATCHES: this device sees the other one. WATCHED_BY: the other one, usually a camera, sees this one. */
  readonly relation: DeviceRelation;
  /** The integration that knows the other one; null: any of the org. */
  readonly integrationId: string | null;
  /** Of its external id, for example `vxg:device-id`; null: `value` is its native id. */
  readonly namespace: string | null;
  readonly value: string;
}

/** A place, WGS 84, in degrees. */
export interface PositionDraft {
  readonly latitude: number;
  readonly longitude: number;
}

/** A device as an inventory listing tells it. */
export interface DeviceDraft {
  /** Unique within the integration, stable over rename and address change. */
  readonly nativeId: string;
  readonly nativeOrgId: string;
  readonly nativeSiteId: string;
  readonly name: string;
  readonly type: DeviceType;
  /** The platform's own word for the kind. */
  readonly vendorType: string | null;
  /** Null when the platform does not tell: events alone make the status then. */
  readonly status: StatusClaim | null;
  readonly lastSeenAt?: Date | null;
  /** More ids of the device; (`<slug>:device-id`, nativeId) is added by the store. */
  readonly externalIds?: readonly { readonly namespace: string; readonly value: string }[];
  readonly macAddresses?: readonly string[];
  readonly ip?: string | null;
  readonly hostname?: string | null;
  readonly manufacturer?: string | null;
  readonly model?: string | null;
  readonly firmware?: string | null;
  readonly serialNumber?: string | null;
  readonly zone?: { readonly name: string; readonly kind: ZoneKind } | null;
  readonly system?: string | null;
  /** Native id of the device it reports through. */
  readonly parentNativeId?: string | null;
  /** Where it stands; null or absent when the platform does not tell, which changes nothing about what is known. */
  readonly position?: PositionDraft | null;
  readonly telemetry?: TelemetryDraft | null;
  readonly warrantyExpiresAt?: Date | null;
  readonly endOfSupportAt?: Date | null;
  readonly capabilities?: readonly DeviceCapability[];
  readonly tags?: readonly string[];
  readonly links?: readonly DeviceLinkDraft[];
}

/** One page of an inventory listing. */
export interface DevicePage {
  readonly devices: readonly DeviceDraft[];
  /** Devices on the page that could not be read, with the reason: they make the run PARTIAL. */
  readonly rejected?: readonly { readonly nativeId: string | null; readonly reason: string }[];
  /** What the platform says the whole listing has, when it says; completeness is proven against it. */
  readonly totalCount?: number | null;
}

/** Which device to read live, with what the store knows about where it is. */
export interface DeviceRef {
  readonly nativeId: string;
  readonly nativeOrgId: string;
  readonly nativeSiteId: string;
}

/** A device as its platform reports it right now. `extras` are the fields of the vendor's own GraphQL type. */
export interface LiveDevice {
  readonly nativeId: string;
  readonly nativeSiteId: string;
  readonly name: string;
  readonly type: DeviceType;
  readonly state: DeviceState;
  readonly vendorState: string | null;
  readonly checkedAt: Date;
  readonly extras: Readonly<Record<string, unknown>>;
}

/** A platform as it reports itself right now. `extras` are the fields of the vendor's own GraphQL type. */
export interface LivePlatform {
  readonly version: string | null;
  readonly checkedAt: Date;
  readonly extras: Readonly<Record<string, unknown>>;
}

/** Something that arrived from a platform: a webhook's body, a frame of a stream, a polled record. */
export interface InboundMessage {
  /** Verbatim. */
  readonly body: Uint8Array;
  /** Lower-case names; without credentials and signatures. */
  readonly headers: Readonly<Record<string, string>>;
  readonly source: EvidenceSource;
  readonly receivedAt: Date;
}

/** What decoding may know: nothing that could make the same bytes mean something else tomorrow. */
export interface DecodeContext {
  /** The integration's settings, as its vendor's schema parsed them. */
  readonly settings: unknown;
  /** For platforms that send no site: the only site this integration is bound to, else null. */
  readonly onlySite: { readonly nativeOrgId: string; readonly nativeSiteId: string } | null;
  readonly profile: SignatureProfile | null;
}

/** An inventory that came in a delivery: a whole list, or a part of one. */
export interface InventoryDelivery {
  readonly devices: readonly DeviceDraft[];
  /** Devices that could not be read, with the reason: the list they stand in is then no complete one. */
  readonly rejected: readonly { readonly nativeId: string | null; readonly reason: string }[];
  /**
   * Which part of which list it is: parts 1 to `parts` of one `id` together are everything there is. Null: devices that
   * belong to no complete list. Only what is missing from complete lists is ever removed.
   */
  readonly list: { readonly id: string; readonly part: number; readonly parts: number } | null;
}

/** An event of another device, to be created at a platform for one of its devices. */
export interface CustomEventDraft {
  /**
   * The same in every attempt. A platform that keeps ids of others gets it, so that nothing is created twice; where it
   * cannot, `isRepeat` says when to look first.
   */
  readonly idempotencyKey: string;
  /** An attempt before this one ended without a word on whether it worked. */
  readonly isRepeat: boolean;
  /** Ours: `evt_…`. */
  readonly eventId: string;
  readonly family: EventFamily;
  /** Stable dotted name of ours, for example `sensor.motion`. */
  readonly type: string;
  readonly severity: Severity;
  readonly occurredAt: Date;
  readonly summary: string;
  /** The device that it happened at, usually a sensor. */
  readonly source: { readonly deviceId: string; readonly name: string; readonly type: DeviceType };
  /** As the source sent it, unchanged: what its event had in `details.metadata`, else all its details. */
  readonly metadata: unknown;
}

/** An event as a vendor's decoder understood it. */
export interface EventDraft {
  /** The vendor's own id; null when it sends none: the content then makes the event's identity. */
  readonly vendorEventId: string | null;
  readonly family: EventFamily;
  /** Stable dotted name of ours, for example `health.offline`. */
  readonly type: string;
  /** The vendor's own code or word. */
  readonly vendorCode: string | null;
  /** The code or word, when no table of the vendor's folder has it: the event is kept, and operators see what is missing. */
  readonly unknownCode?: string;
  readonly severity: Severity;
  /** By the source's clock. */
  readonly occurredAt: Date;
  readonly nativeOrgId: string | null;
  readonly nativeSiteId: string | null;
  readonly nativeDeviceId: string | null;
  /** What it says about the device's state; null when nothing. */
  readonly claim: StatusClaim | null;
  /** The device was alive when it happened. */
  readonly isLifeSign: boolean;
  readonly telemetry?: TelemetryDraft | null;
  /** Where the device was when it happened. */
  readonly position?: PositionDraft | null;
  readonly summary: string;
  readonly details: EventDetails;
  readonly media?: readonly MediaDraft[];
  /** The vendor's record of this one event, when it was JSON. */
  readonly raw: unknown;
}

export interface MediaDraft {
  readonly contentType: string | null;
  readonly url: string;
  readonly thumbnailUrl?: string | null;
  readonly sizeBytes?: number | null;
  readonly capturedAt?: Date | null;
  readonly sha256?: string | null;
}

/** A picture or clip of an event that was taken in, to be opened where it is. */
export interface MediaRef {
  /** As the draft had it. */
  readonly url: string;
  readonly contentType: string | null;
  /** Hex. */
  readonly sha256: string | null;
  readonly occurredAt: Date;
  /** Of the event; null when it is about no device. */
  readonly nativeDeviceId: string | null;
  /** The delivery that told of it, for platforms that send pictures along; null when it is not kept any more. */
  delivery(): Promise<InboundMessage | null>;
}

/** A picture or clip that is being read. */
export interface MediaContent {
  /** As the platform says it; null when it does not. */
  readonly contentType: string | null;
  /** To be read once. Throws AdapterError. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up what was not read; nothing when all of it was. */
  close(): Promise<void>;
}

/** The attributes of an event's family; all optional, absent means the platform did not tell. */
export interface EventDetails {
  /** Its local time came twice that day, or never: summer time ended or began (see local-time.ts). */
  readonly localTime?: 'AMBIGUOUS' | 'SKIPPED';
  readonly zone?: string;
  readonly actors?: readonly { readonly kind: string; readonly confidence: number | null }[];
  readonly siaCode?: string;
  readonly contactIdCode?: string;
  readonly restoral?: boolean;
  readonly deepLink?: string;
  readonly outcome?: AccessOutcome;
  readonly credentialHint?: string;
  readonly personName?: string;
  readonly fault?: string;
  readonly metadata?: unknown;
  readonly detail?: unknown;
  readonly intervalSeconds?: number;
  readonly change?: string;
}
