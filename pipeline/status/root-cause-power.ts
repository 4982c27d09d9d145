// Whether what falls at a site falls for want of power. Pure. Two kinds of evidence: a panel, bridge or UPS that says so,
// and most of the site going down at once, over more than one parent.
import { MAX_DEPTH, type Member } from './root-cause.ts';

/** Devices of a site without power fall within this; polls and buffers of platforms spread it. */
export const STORM_WINDOW_MS = 60_000;
/** Share of the devices that could fall. */
export const STORM_SHARE = 0.6;
/** Fewer devices than this are no storm. */
export const STORM_DEVICES = 5;
/** Falls older than this, by the source's clock, are looked at no more. */
export const STORM_LOOK_BACK_MS = 10 * 60_000;

/** A device of a site; its parents are of its own integration. */
export interface SiteMember extends Member {
  readonly integrationId: string;
  readonly reason: string | null;
}

export interface Storm {
  /** When the first device fell, by the source's clock. */
  readonly since: number;
  readonly fallen: readonly SiteMember[];
}

/** Unknown because something before the device is gone, as some platforms say. */
const GONE: ReadonlySet<string> = new Set(['PARENT_DOWN', 'PLATFORM_DOWN', 'POWER', 'NETWORK']);

/** Whether a device is down, or out of reach with what is before it. */
export function hasFallen({ state, reason }: Pick<SiteMember, 'state' | 'reason'>): boolean {
  return state === 'OFFLINE' || (state === 'UNKNOWN' && reason !== null && GONE.has(reason));
}

/** The topmost fallen device above it, itself included: fallen devices with the same one have one cause in common. */
function topOf(member: SiteMember, fallen: ReadonlyMap<string, SiteMember>): SiteMember {
  let top = member;
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    const parent = top.parentId === null ? undefined : fallen.get(top.parentId);
    if (parent === undefined || parent.id === member.id) break;
    top = parent;
  }
  return top;
}

/** Devices by what they hang on: a parent that fell with them, else what they report through. */
function groupsOf(fallen: ReadonlyMap<string, SiteMember>): ReadonlyMap<string, readonly SiteMember[]> {
  const parents = new Set([...fallen.values()].map(({ parentId }) => parentId));
  return Map.groupBy(fallen.values(), (member) => {
    const top = topOf(member, fallen);
    return parents.has(top.id) ? top.id : (top.parentId ?? top.integrationId);
  });
}

/** The longest run of falls that fits into the window. */
function densest(falls: readonly SiteMember[]): readonly SiteMember[] {
  let best: readonly [number, number] = [0, 0];
  let first = 0;
  for (let last = 0; last < falls.length; last += 1) {
    while ((falls[last]?.since ?? 0) - (falls[first]?.since ?? 0) > STORM_WINDOW_MS) first += 1;
    if (last + 1 - first > best[1] - best[0]) best = [first, last + 1];
  }
  return falls.slice(...best);
}

/**
 * Looks for the moment at which most of a site went down.
 *
 * @param members all present devices of the site
 * @param now milliseconds since the epoch
 * @returns null when there is none, or when one parent's failure accounts for it
 */
export function findStorm(members: readonly SiteMember[], now: number): Storm | null {
  const falls = members
    .filter((member) => hasFallen(member) && member.since >= now - STORM_LOOK_BACK_MS)
    .toSorted((a, b) => a.since - b.since);
  const window = densest(falls);
  const [first] = window;
  if (first === undefined || window.length < STORM_DEVICES) return null;
  const fallen = new Map(window.map((member) => [member.id, member]));
  const standing = members.filter(({ id, state }) => !fallen.has(id) && (state === 'ONLINE' || state === 'DEGRADED'));

  const groups = groupsOf(fallen);
  const independent = new Set(window.map((member) => topOf(member, fallen).id)).size;
  const isAll = standing.length === 0 && independent > 1;
  if (groups.size < 2) return isAll ? { since: first.since, fallen: window } : null;

  // Of what does not hang on the parent that took most with it, most must have fallen too.
  const [largest] = [...groups].toSorted(([, a], [, b]) => b.length - a.length)[0] ?? [''];
  const others = window.length - (groups.get(largest)?.length ?? 0);
  const othersUp = standing.filter(({ parentId, integrationId }) => (parentId ?? integrationId) !== largest).length;
  const isStorm =
    window.length >= STORM_SHARE * (window.length + standing.length) && others >= STORM_SHARE * (others + othersUp);
  return isStorm || isAll ? { since: first.since, fallen: window } : null;
}

/** What a site's power incident was concluded from. */
export interface PowerEvidence {
  /** Devices that said that they lost power, and did not say yet that it is back. */
  readonly lost: readonly string[];
  /** Some device said so at some time. */
  readonly wasTold: boolean;
}

/**
 * Whether power is back: who told of its loss tells of its return; where nobody told, most of the devices are back.
 *
 * @param down devices of the incident that are still down
 * @param affected devices that it explained so far
 */
export function isPowerBack({ lost, wasTold }: PowerEvidence, down: number, affected: number): boolean {
  if (lost.length > 0) return false;
  return wasTold || down <= (1 - STORM_SHARE) * affected;
}

/** Equipment whose supply is the site's: what hangs on one battery says nothing about the site. */
const INFRASTRUCTURE: ReadonlySet<string> = new Set(['PANEL', 'CONTROLLER', 'BRIDGE', 'SERVER', 'RECORDER', 'OTHER']);

// In our words, and in those of vendors whose word for it is one of many kinds of trouble.
const LOST: ReadonlySet<string> = new Set(['alarm.power_lost']);
const RESTORED: ReadonlySet<string> = new Set(['alarm.power_restored']);
const LOST_WORDS =
  /^(ac_?(loss|lost|fail(ed|ure)?)|mains_?(loss|lost|fail(ed|ure)?)|power_?(loss|lost|fail(ed|ure)?))$/;
const RESTORED_WORDS = /^(ac|mains|power)_?(restore[ds]?|restoral|ok|normal|back)$/;

/** Types of events that can say that mains power is back. */
export const POWER_RESTORED_TYPES: readonly string[] = [...RESTORED, 'alarm.trouble_restored'];
/** Types of events that can be about mains power: what is worth reading of the log. */
export const POWER_TYPES: readonly string[] = [...LOST, 'alarm.trouble', ...POWER_RESTORED_TYPES];

/** What an event says about mains power. */
export function powerWordOf(event: {
  readonly type: string;
  readonly vendorCode: string | null;
  readonly deviceType: string;
}): 'LOST' | 'RESTORED' | null {
  if (!INFRASTRUCTURE.has(event.deviceType)) return null;
  if (LOST.has(event.type)) return 'LOST';
  if (RESTORED.has(event.type)) return 'RESTORED';
  const word = (event.vendorCode ?? '').toLowerCase().replaceAll(/[^a-z]+/g, '_');
  if (event.type === 'alarm.trouble' && LOST_WORDS.test(word)) return 'LOST';
  if (event.type === 'alarm.trouble_restored' && RESTORED_WORDS.test(word)) return 'RESTORED';
  return null;
}
