import type { PositionDraft } from '../../adapter-kit/model.ts';
import type { DeviceRow } from '../../storage/rows.ts';
import type { FieldChange } from './field-changes.ts';

/** Closer than this is the noise of receivers of satellite signals, not a move. */
export const MOVED_METRES = 25;

const EARTH_METRES = 6_371_000;

type Stored = Pick<DeviceRow, 'latitude' | 'longitude'>;

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

/** Along the surface, in metres; good to half a percent, poles and date line included. */
export function metresBetween(a: PositionDraft, b: PositionDraft): number {
  const half = (from: number, to: number): number => Math.sin(radians(to - from) / 2) ** 2;
  const chord =
    half(a.latitude, b.latitude) +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * half(a.longitude, b.longitude);
  return 2 * EARTH_METRES * Math.asin(Math.min(1, Math.sqrt(chord)));
}

/** What a platform tells, if it is a place: 0/0 is what software writes that knows none. */
export function soundPosition(told: PositionDraft | null | undefined): PositionDraft | null {
  if (told === null || told === undefined) return null;
  const { latitude, longitude } = told;
  if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180) || (latitude === 0 && longitude === 0)) return null;
  return { latitude, longitude };
}

export function storedPosition({ latitude, longitude }: Stored): PositionDraft | null {
  return latitude === null || longitude === null ? null : { latitude, longitude };
}

/** Where a device is now, when that is news; null: it is where it was, or nobody says. */
export function movedTo(before: Stored, told: PositionDraft | null): PositionDraft | null {
  if (told === null) return null;
  const known = storedPosition(before);
  return known !== null && metresBetween(known, told) <= MOVED_METRES ? null : told;
}

function shown(position: PositionDraft | null): string | null {
  return position === null ? null : `${position.latitude}, ${position.longitude}`;
}

/** Another place, as a field change. */
export function positionChange(before: Stored, after: PositionDraft): FieldChange {
  return { name: 'coordinates', before: shown(storedPosition(before)), after: shown(after) };
}
