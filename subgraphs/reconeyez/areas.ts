// Areas are the platform's sites. It tells their names and nothing else, so that a renamed area is a new one to us until
// an operator says that it is the old one (`areaAliases`).
import type { ReconeyezSettings } from './settings.ts';

/** Devices that no area was given to. */
export const NO_AREA = '(no area)';

export type AreaSettings = Pick<ReconeyezSettings, 'areaAliases' | 'areaTimezones' | 'timezone'>;

/** @returns the id of the area as a site */
export function siteIdOf(area: string, { areaAliases }: AreaSettings): string {
  const known = Object.hasOwn(areaAliases, area) ? areaAliases[area] : area;
  return known === undefined || known === '' ? NO_AREA : known;
}

/** @returns null when nobody said in which zone the area is */
export function timezoneOf(area: string, settings: AreaSettings): string | null {
  const { areaTimezones, timezone } = settings;
  for (const name of [area, siteIdOf(area, settings)])
    if (Object.hasOwn(areaTimezones, name)) return areaTimezones[name] ?? null;
  return timezone ?? null;
}
