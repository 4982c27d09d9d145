import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Conclusions,
  concludeRootCauses,
  EXPLAINED_WITHIN_MS,
  type KnownIncident,
  type Member,
  RECOVERY_GRACE_MS,
  REOPEN_MS,
} from './root-cause.ts';

const T = Date.UTC(2026, 10, 20, 12);
const MINUTE = 60_000;

/** A graph that lives on: conclusions are kept as the store keeps them. */
function graph(parents: Readonly<Record<string, string | null>>) {
  const members = new Map<string, Member>();
  let incidents: KnownIncident[] = [];
  let made = 0;
  for (const [id, parentId] of Object.entries(parents)) {
    members.set(id, {
      id,
      parentId,
      siteId: 'site',
      state: 'ONLINE',
      since: T - 86_400_000,
      lastSeenAt: T - 1_000,
      isFlapping: false,
      suppressedBy: null,
      incidentId: null,
    });
  }

  function behind(id: string, seen = new Set<string>()): ReadonlySet<string> {
    for (const child of members.values()) {
      if (child.parentId !== id || seen.has(child.id)) continue;
      seen.add(child.id);
      behind(child.id, seen);
    }
    return seen;
  }

  function settle(ids: readonly string[], now: number): Conclusions {
    const conclusions = concludeRootCauses({
      integrationId: 'int',
      members,
      scope: new Set(ids.flatMap((id) => [id, ...behind(id)])),
      incidents,
      now,
      makeId: () => `inc_${(made += 1)}`,
    });
    for (const [id, explanation] of conclusions.changes) {
      const member = members.get(id);
      if (member === undefined) continue;
      const incidentId = explanation?.incidentId ?? null;
      members.set(id, { ...member, suppressedBy: explanation?.by ?? null, incidentId });
    }
    for (const { id, root, isReopened } of conclusions.opened) {
      if (isReopened) incidents = incidents.map((each) => (each.id === id ? { ...each, closedAt: null } : each));
      else {
        incidents.push({
          id,
          cause: 'DEVICE_DOWN',
          rootId: root.id,
          openedAt: root.since,
          closedAt: null,
          updatedAt: now,
        });
      }
    }
    for (const { id, root } of conclusions.closed) {
      incidents = incidents.map((each) => (each.id === id ? { ...each, closedAt: root.since, updatedAt: now } : each));
    }
    return conclusions;
  }

  function change(id: string, state: string, since: number, more: Partial<Member> = {}): Conclusions {
    const member = members.get(id);
    if (member === undefined) throw new RangeError(id);
    const lastSeenAt = state === 'ONLINE' ? since : member.lastSeenAt;
    members.set(id, { ...member, state, since, lastSeenAt, ...more });
    return settle([id], since);
  }

  return {
    change,
    settle,
    by: (id: string) => members.get(id)?.suppressedBy ?? null,
    incidentOf: (id: string) => members.get(id)?.incidentId ?? null,
    open: () => incidents.filter(({ closedAt }) => closedAt === null),
    all: () => incidents,
    add: (incident: KnownIncident) => incidents.push(incident),
    explained: () => new Map([...members.values()].map(({ id, suppressedBy }) => [id, suppressedBy])),
  };
}

const RECORDER = { rec: null, ...Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`cam${at}`, 'rec'])) };

describe('root causes', () => {
  it('explain all cameras of a dead recorder by it, in one incident', () => {
    const site = graph({ ...RECORDER, lone: null });
    site.change('rec', 'OFFLINE', T);
    for (let at = 0; at < 64; at += 1) site.change(`cam${at}`, at % 2 === 0 ? 'OFFLINE' : 'UNKNOWN', T + at * 1_000);
    expect(site.open()).toHaveLength(1);
    expect([...site.explained().values()].filter((by) => by === 'rec')).toHaveLength(64);
    expect(site.by('rec')).toBeNull();
    expect(site.incidentOf('rec')).toBe(site.incidentOf('cam7'));
  });

  it('take children over that fell before their parent', () => {
    const site = graph(RECORDER);
    site.change('cam1', 'OFFLINE', T);
    expect(site.by('cam1')).toBeNull();
    expect(site.open()).toHaveLength(0);
    site.change('rec', 'OFFLINE', T + 20_000);
    expect(site.by('cam1')).toBe('rec');
    expect(site.open()).toHaveLength(1);
  });

  it('name the topmost of two parents, and merge the incident of the lower one', () => {
    const site = graph({ panel: null, bridge: 'panel', detector: 'bridge' });
    site.change('bridge', 'OFFLINE', T);
    site.change('detector', 'OFFLINE', T + 1_000);
    expect(site.by('detector')).toBe('bridge');
    const { closed } = site.change('panel', 'OFFLINE', T + 30_000);
    expect(site.by('detector')).toBe('panel');
    expect(site.by('bridge')).toBe('panel');
    expect(site.open().map(({ rootId }) => rootId)).toEqual(['panel']);
    expect(closed).toMatchObject([{ root: { id: 'bridge' }, mergedInto: site.incidentOf('panel') }]);
  });

  it('leave a lower root its own incident when the upper one is back alone', () => {
    const site = graph({ panel: null, bridge: 'panel', detector: 'bridge' });
    site.change('panel', 'OFFLINE', T);
    site.change('bridge', 'OFFLINE', T + 1_000);
    site.change('detector', 'OFFLINE', T + 2_000);
    site.change('panel', 'ONLINE', T + 10 * MINUTE);
    expect(site.open().map(({ rootId }) => rootId)).toEqual(['bridge']);
    expect(site.by('detector')).toBe('bridge');
  });

  it('do not swallow a camera that still spoke after its recorder had fallen', () => {
    const site = graph(RECORDER);
    site.change('rec', 'OFFLINE', T);
    site.change('cam1', 'OFFLINE', T + 60 * MINUTE, { lastSeenAt: T + 50 * MINUTE });
    expect(site.by('cam1')).toBeNull();
  });

  it('explain a camera that a slow poll finds an hour later, if nothing was heard of it since', () => {
    const site = graph(RECORDER);
    site.change('rec', 'OFFLINE', T);
    site.change('cam1', 'OFFLINE', T + 60 * MINUTE, { lastSeenAt: T - MINUTE });
    expect(site.by('cam1')).toBe('rec');
  });

  it('do not swallow a low battery, a neighbour, or what is behind a device that is up', () => {
    const site = graph({ server: null, rec: 'server', cam: 'rec', weak: 'server', other: null });
    site.change('weak', 'DEGRADED', T - 60 * MINUTE);
    site.change('server', 'OFFLINE', T);
    site.change('cam', 'OFFLINE', T + 1_000);
    site.change('other', 'OFFLINE', T + 1_000);
    for (const id of ['weak', 'cam', 'other']) expect(site.by(id)).toBeNull();
    site.change('rec', 'UNKNOWN', T + 2_000);
    expect(site.by('rec')).toBe('server');
    expect(site.by('cam')).toBe('server');
  });

  it('give what is behind a device that is back time to come back too', () => {
    const site = graph(RECORDER);
    site.change('rec', 'OFFLINE', T);
    site.change('cam1', 'OFFLINE', T);
    site.change('cam2', 'OFFLINE', T);
    const { closed } = site.change('rec', 'ONLINE', T + 5 * MINUTE);
    expect(closed).toMatchObject([{ mergedInto: null }]);
    expect(site.open()).toHaveLength(0);
    expect(site.by('cam1')).toBe('rec');
    site.change('cam1', 'ONLINE', T + 5 * MINUTE + 10_000);
    expect(site.by('cam1')).toBeNull();
    site.settle(['cam2'], T + 5 * MINUTE + RECOVERY_GRACE_MS - 1);
    expect(site.by('cam2')).toBe('rec');
    site.settle(['cam2'], T + 5 * MINUTE + RECOVERY_GRACE_MS);
    expect(site.by('cam2')).toBeNull();
  });

  it('make one incident of a parent that falls again at once, another when it falls later', () => {
    const site = graph(RECORDER);
    for (let at = 0; at < 5; at += 1) {
      site.change('rec', 'OFFLINE', T + at * 20_000);
      site.change('rec', 'ONLINE', T + at * 20_000 + 10_000);
    }
    expect(site.all()).toHaveLength(1);
    expect(site.open()).toHaveLength(0);
    site.change('rec', 'OFFLINE', T + 90_000 + REOPEN_MS + 1);
    expect(site.all()).toHaveLength(2);
  });

  it('keep the incident of a flapping parent open until it stays', () => {
    const site = graph(RECORDER);
    site.change('rec', 'OFFLINE', T);
    site.change('cam1', 'OFFLINE', T);
    site.change('rec', 'ONLINE', T + 10_000, { isFlapping: true });
    expect(site.open()).toHaveLength(1);
    expect(site.by('cam1')).toBe('rec');
    site.change('rec', 'ONLINE', T + 10_000, { isFlapping: false });
    expect(site.open()).toHaveLength(0);
  });

  it('keep a root that nobody hears of any more', () => {
    const site = graph(RECORDER);
    site.change('rec', 'OFFLINE', T);
    site.change('cam1', 'OFFLINE', T);
    site.change('rec', 'UNKNOWN', T + MINUTE);
    expect(site.open()).toHaveLength(1);
    expect(site.by('cam1')).toBe('rec');
  });

  it('put roots into an open incident of their site, and what is behind them behind them', () => {
    const site = graph({ ...RECORDER, early: null });
    site.change('early', 'OFFLINE', T - 60 * MINUTE);
    const power = { id: 'inc_site', cause: 'SITE_POWER', rootId: 'site', openedAt: T, closedAt: null, updatedAt: T };
    site.add(power);
    site.change('rec', 'OFFLINE', T + 5_000);
    site.change('cam1', 'OFFLINE', T + 6_000);
    site.settle(['early'], T + 6_000);
    expect(site.by('rec')).toBe('site');
    expect(site.by('cam1')).toBe('rec');
    expect(site.incidentOf('cam1')).toBe('inc_site');
    expect(site.by('early')).toBeNull();
    expect(site.open()).toEqual([power]);
  });

  it('survive circles of parents', () => {
    const site = graph({ a: 'b', b: 'c', c: 'a', d: 'd' });
    for (const id of ['a', 'b', 'c', 'd']) site.change(id, 'OFFLINE', T);
    expect(site.open().length).toBeLessThanOrEqual(2);
  });

  it('come to the same in whatever order devices were heard of', () => {
    const forest = fc.array(fc.integer({ min: -1, max: 20 }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(
        forest,
        fc.infiniteStream(fc.nat(EXPLAINED_WITHIN_MS)),
        fc.infiniteStream(fc.nat()),
        (tree, at, order) => {
          // A parent has a lower number than its children.
          const parents = Object.fromEntries(
            tree.map((parent, index) => [`d${index}`, index === 0 || parent < 0 ? null : `d${parent % index}`]),
          );
          const falls = Object.keys(parents).map((id) => ({ id, at: T + Number(at.next().value) }));
          const inOrder = graph(parents);
          for (const { id, at: since } of falls) inOrder.change(id, 'OFFLINE', since);
          const shuffled = graph(parents);
          const keys = new Map(falls.map(({ id }) => [id, Number(order.next().value)]));
          for (const { id, at: since } of falls.toSorted((a, b) => (keys.get(a.id) ?? 0) - (keys.get(b.id) ?? 0)))
            shuffled.change(id, 'OFFLINE', since);
          expect(shuffled.explained()).toEqual(inOrder.explained());
          const roots = (site: typeof inOrder) =>
            site
              .open()
              .map(({ rootId }) => rootId)
              .toSorted();
          expect(roots(shuffled)).toEqual(roots(inOrder));
        },
      ),
      { numRuns: 300 },
    );
  });
});
