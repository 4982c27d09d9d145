import type { Logger } from 'pino';
import { knownTypeOf } from './normalize.ts';
import type { WireDevices } from './wire.ts';

/** New words told of one integration; a platform that makes them up must not fill the log. */
const MAX_TOLD = 100;

/** Says once what a listing has that the documentation does not: the day-one capture of an undocumented platform. */
export interface Novelties {
  note(listing: WireDevices): void;
}

export function createNovelties(logger: Logger, integrationId: string): Novelties {
  const told = new Set<string>();
  let areas: ReadonlySet<string> | null = null;

  function tell(message: string, kind: string, word: string): void {
    const key = `${kind} ${word}`;
    if (told.has(key) || told.size >= MAX_TOLD) return;
    told.add(key);
    logger.warn({ vendor: 'reconeyez', integrationId, [kind]: word.slice(0, 80) }, message);
  }

  return {
    note({ devices, unknownMembers }) {
      for (const member of unknownMembers) tell('The platform lists a member that we do not know', 'member', member);
      for (const device of devices)
        if (device.type !== '' && knownTypeOf(device) === null)
          tell('The platform lists a type of device that we do not know', 'deviceType', device.type);
      const seen = new Set(devices.map(({ area }) => area));
      // Ids of areas are their names: one that appears later may be an old one under a new name.
      if (areas !== null)
        for (const area of seen)
          if (!areas.has(area))
            tell('An area is new: bind it, or name it in areaAliases if it was renamed', 'area', area);
      areas = new Set([...(areas ?? []), ...seen]);
    },
  };
}
