// Which failure explains which others: values in, values out. It looks at how devices are now and not at how they got
// there, so that it comes to the same whatever the order in which parents and children were heard of.

/** A child that still spoke this long after its parent fell has a failure of its own. */
export const EXPLAINED_WITHIN_MS = 2 * 60_000;
/** Devices behind one that is back come back too, a little later. */
export const RECOVERY_GRACE_MS = 2 * 60_000;
/** After a power cut recorders boot, check their disks and look for their cameras. */
export const POWER_GRACE_MS = 5 * 60_000;
/** A root that falls again this soon after its incident ended goes on with it. */
export const REOPEN_MS = 2 * 60_000;
/** Devices behind devices behind devices: deeper than any installation. */
export const MAX_DEPTH = 16;

/** A device, as far as it matters here. Instants are milliseconds since the epoch, by the source's clock. */
export interface Member {
  readonly id: string;
  readonly parentId: string | null;
  readonly siteId: string | null;
  readonly state: string;
  readonly since: number;
  readonly lastSeenAt: number | null;
  readonly isFlapping: boolean;
  readonly suppressedBy: string | null;
  readonly incidentId: string | null;
}

export interface KnownIncident {
  readonly id: string;
  readonly cause: string;
  readonly rootId: string;
  /** By the source's clock. */
  readonly openedAt: number;
  readonly closedAt: number | null;
  /** By our clock. */
  readonly updatedAt: number;
}

/** One integration's devices around those that changed. */
export interface Situation {
  readonly integrationId: string;
  readonly members: ReadonlyMap<string, Member>;
  /** Devices to judge: those that changed and all that are behind them. */
  readonly scope: Iterable<string>;
  /** Open ones of these devices, their sites and their integration, and those that ended lately. */
  readonly incidents: readonly KnownIncident[];
  /** By our clock. */
  readonly now: number;
  /** Id of an incident that has to be made. */
  readonly makeId: () => string;
}

/** What explains a device's failure, and the incident it is in. */
export interface Explanation {
  /** A device, site or integration; null: the device is the cause itself. */
  readonly by: string | null;
  readonly incidentId: string;
}

export interface Conclusions {
  /** Devices whose explanation is another than before; null: nothing explains them any more. */
  readonly changes: ReadonlyMap<string, Explanation | null>;
  /** What explains each device of the scope now; absent: nothing. */
  readonly explanations: ReadonlyMap<string, Explanation>;
  readonly opened: readonly { readonly id: string; readonly root: Member; readonly isReopened: boolean }[];
  readonly closed: readonly {
    readonly id: string;
    readonly root: Member;
    /** The wider incident that its devices belong to now; null: the root is back. */
    readonly mergedInto: string | null;
  }[];
}

/** How long devices stay explained by an incident that has ended, in milliseconds. */
export function graceOf(cause: string): number {
  return cause === 'SITE_POWER' ? POWER_GRACE_MS : RECOVERY_GRACE_MS;
}

function isUp({ state }: Member): boolean {
  return state === 'ONLINE' || state === 'DEGRADED';
}

/** Whether a failure of `parent` accounts for the state of `child`. */
export function accountsFor(parent: Member, child: Member): boolean {
  const until = parent.since + EXPLAINED_WITHIN_MS;
  if (child.state === 'ONLINE') return false;
  // A low battery is no matter of the parent's; a fault that came with its fall is.
  if (child.state === 'DEGRADED' && child.since < parent.since - EXPLAINED_WITHIN_MS) return false;
  return child.since <= until || child.lastSeenAt === null || child.lastSeenAt <= until;
}

/** Judges all devices of the scope anew. */
export function concludeRootCauses(situation: Situation): Conclusions {
  const { members, incidents, now } = situation;
  const open = new Map(incidents.filter(({ closedAt }) => closedAt === null).map((each) => [each.rootId, each]));
  const parents = new Set<string | null>();
  for (const { parentId } of members.values()) parents.add(parentId);
  const judged = new Map<string, Explanation | null>();
  const opened = new Map<string, Conclusions['opened'][number]>();

  function fails(member: Member): boolean {
    // Not heard of any more is not back.
    return member.state === 'OFFLINE' || (member.state === 'UNKNOWN' && open.get(member.id)?.cause === 'DEVICE_DOWN');
  }

  /** The topmost device that accounts for this one's failure. One that is up in between shows that it is another matter. */
  function rootOf(member: Member): Member | null {
    let root: Member | null = null;
    let at = member;
    for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
      const parent = at.parentId === null ? undefined : members.get(at.parentId);
      if (parent === undefined || parent.id === member.id || isUp(parent)) break;
      if (fails(parent) && accountsFor(parent, member)) root = parent;
      at = parent;
    }
    return root;
  }

  function own(root: Member): Explanation {
    const known = open.get(root.id);
    if (known !== undefined) return { by: null, incidentId: known.id };
    const before = opened.get(root.id);
    if (before !== undefined) return { by: null, incidentId: before.id };
    const ended = incidents
      .filter(({ rootId, closedAt }) => rootId === root.id && closedAt !== null && root.since - closedAt <= REOPEN_MS)
      .toSorted((a, b) => b.openedAt - a.openedAt)[0];
    const id = ended?.id ?? situation.makeId();
    opened.set(root.id, { id, root, isReopened: ended !== undefined });
    return { by: null, incidentId: id };
  }

  /** A wider failure that was there when the device fell, a little earlier or later. */
  function within(rootId: string | null, member: Member): Explanation | null {
    const wider = rootId === null ? undefined : open.get(rootId);
    if (wider === undefined || member.since < wider.openedAt - EXPLAINED_WITHIN_MS) return null;
    return { by: wider.rootId, incidentId: wider.id };
  }

  function judge(member: Member): Explanation | null {
    const before = judged.get(member.id);
    if (before !== undefined) return before;
    // Against circles of parents.
    judged.set(member.id, null);
    const explanation = conclude(member);
    judged.set(member.id, explanation);
    return explanation;
  }

  function conclude(member: Member): Explanation | null {
    const root = rootOf(member);
    if (root !== null) {
      const above = judge(root);
      if (above !== null) {
        const isDevice = above.by !== null && members.has(above.by);
        return { by: isDevice ? above.by : root.id, incidentId: above.incidentId };
      }
    }
    if (isUp(member)) {
      // One that comes and goes is one incident until it stays.
      const known = open.get(member.id);
      return known !== undefined && member.isFlapping ? { by: null, incidentId: known.id } : null;
    }
    const wider = within(member.siteId, member) ?? within(situation.integrationId, member);
    if (wider !== null) return wider;
    return fails(member) && parents.has(member.id) ? own(member) : null;
  }

  for (const id of situation.scope) {
    const member = members.get(id);
    if (member !== undefined) judge(member);
  }

  const closed: Conclusions['closed'][number][] = [];
  for (const incident of open.values()) {
    const root = members.get(incident.rootId);
    if (root === undefined || !judged.has(root.id)) continue;
    const verdict = judged.get(root.id) ?? null;
    if (verdict?.incidentId !== incident.id)
      closed.push({ id: incident.id, root, mergedInto: verdict === null ? null : verdict.incidentId });
  }

  const ending = new Set(closed.map(({ id }) => id));
  const byId = new Map(incidents.map((incident) => [incident.id, incident]));

  /** Whether what explained it before does so a little longer. */
  function isGranted(member: Member): boolean {
    if (isUp(member) || member.suppressedBy === null || member.incidentId === null) return false;
    if (ending.has(member.incidentId)) return true;
    const incident = byId.get(member.incidentId);
    if (incident === undefined) return false;
    if (incident.closedAt !== null) return now - incident.updatedAt < graceOf(incident.cause);
    return members.get(incident.rootId)?.isFlapping === true;
  }

  const changes = new Map<string, Explanation | null>();
  const explanations = new Map<string, Explanation>();
  for (const [id, explanation] of judged) {
    const member = members.get(id);
    if (member === undefined) continue;
    if (explanation === null && isGranted(member) && member.incidentId !== null) {
      explanations.set(id, { by: member.suppressedBy, incidentId: member.incidentId });
      continue;
    }
    if (explanation !== null) explanations.set(id, explanation);
    const isSame =
      member.suppressedBy === (explanation?.by ?? null) && member.incidentId === (explanation?.incidentId ?? null);
    if (!isSame) changes.set(id, explanation);
  }
  return { changes, explanations, opened: [...opened.values()], closed };
}
