import type { TelemetryDraft } from '../../adapter-kit/model.ts';
import type { SensorKind, Signal } from './words.ts';

/** A device as far as a message must know it to be understood later, without asking anybody. */
export interface KnownDevice {
  readonly nativeId: string;
  readonly siteId: string;
  readonly name: string;
  readonly kind: SensorKind | null;
}

/** One thing that a message says about a device. */
export interface Reading {
  readonly nativeId: string;
  /** Zone, input, register, door or lane inside the device; `device` for the device itself. */
  readonly point: string;
  readonly signal: Signal;
  /** presence: online, offline, unknown. Other states: active, clear. Otherwise what happened, in our word. */
  readonly value: string;
  /** The platform's own word. */
  readonly word: string;
  /** By the source's clock; null: when it arrived. */
  readonly occurredAt: Date | null;
  readonly vendorEventId?: string;
  readonly telemetry?: TelemetryDraft;
  /** AI: what was seen, and how sure the model is. */
  readonly actor?: { readonly kind: string; readonly confidence: number | null };
  readonly credentialHint?: string;
  readonly personName?: string;
  /** Everything the source said that belongs to this reading. */
  readonly metadata: unknown;
  /** Says how a state was when we connected; no event by itself. */
  readonly isInitial?: boolean;
}

const STATES: ReadonlySet<Signal> = new Set([
  'presence',
  'alarm',
  'trouble',
  'supervisory',
  'tamper',
  'test',
  'battery',
]);

/** Whether it stays until it is said otherwise; what is no state happened once. */
export function isState(signal: Signal): boolean {
  return STATES.has(signal);
}

/** How things are when nobody says anything. */
export function isNormal({ signal, value }: Pick<Reading, 'signal' | 'value'>): boolean {
  return signal === 'presence' ? value === 'online' : value === 'clear';
}

/** Names one reading within a message, and its place in memory. */
export function keyOf({ nativeId, point, signal }: Pick<Reading, 'nativeId' | 'point' | 'signal'>): string {
  return `${nativeId}|${point}|${signal}`;
}
