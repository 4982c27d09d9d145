export type { FieldChange } from '../../storage/device-fields.ts';

import type { FieldChange } from '../../storage/device-fields.ts';
import type { DeviceRow } from '../../storage/rows.ts';

/** A move, as a field change. */
export function siteChange(before: DeviceRow['site_id'], after: DeviceRow['site_id']): FieldChange {
  return { name: 'site', before, after };
}

/** Another part of the site, by id. */
export function zoneChange(before: DeviceRow['zone_id'], after: DeviceRow['zone_id']): FieldChange {
  return { name: 'zone', before, after };
}
