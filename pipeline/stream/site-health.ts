import { fault } from '../../schema/errors.ts';
import type { AccessScope } from '../../schema/principal.ts';
import type { Database } from '../../storage/database.ts';
import { type HealthCounts, NO_DEVICES, readHealthOfSites } from '../../storage/health-counts.ts';
import { abortable, systemTiming, type Timing, waitFor } from './pausable.ts';

/** However busy an org is, its counts are read so often at most, for all subscribers together. */
const MIN_READ_MS = 250;
/** A lost ring costs this much latency and never a change. */
const POLL_MS = 1_000;
const MIN_THROTTLE_MS = 250;
const MAX_THROTTLE_MS = 60_000;

/** The counts of a site that moved. */
export interface SiteHealthChange {
  readonly siteId: string;
  readonly health: HealthCounts;
  /** Milliseconds: when the counts were true. */
  readonly asOf: number;
}

export interface SiteHealthRequest {
  readonly access: AccessScope;
  readonly orgId: string;
  /** 250 to 60,000. */
  readonly throttleMs: number;
  readonly signal: AbortSignal;
}

export interface SiteHealthChanges {
  /**
   * Sites that the principal sees, each whenever its counts are others than when they were last given (at first: than
   * when the promise resolved), and all together at most once in `throttleMs`. Moves in between that cancel out are not
   * told.
   *
   * @throws GraphQLError BAD_USER_INPUT for a throttle outside of its range; StorageError
   */
  subscribe(request: SiteHealthRequest): Promise<AsyncIterableIterator<SiteHealthChange, void, void>>;
}

export interface SiteHealthDeps {
  readonly db: Database;
  /** Milliseconds since the epoch; default the system's clock. */
  readonly now?: () => number;
  /** Default the system's. */
  readonly timing?: Timing;
}

/** The counts of one org's sites, followed once for all who look at it. */
interface Watch {
  users: number;
  sites: ReadonlyMap<string, HealthCounts>;
  asOf: number;
  readonly listeners: Set<() => void>;
  readonly ready: Promise<void>;
  readonly close: AbortController;
}

/** One per process. */
export function createSiteHealthChanges({
  db,
  now = Date.now,
  timing = systemTiming,
}: SiteHealthDeps): SiteHealthChanges {
  const watches = new Map<string, Watch>();

  function open(orgId: string): Watch {
    const close = new AbortController();
    const { signal } = close;
    let revision = -1;
    let isRung = false;
    let wake = (): void => {};

    async function look(): Promise<void> {
      const asOf = now();
      const org = await db.read.selectFrom('orgs').select('revision').where('id', '=', orgId).executeTakeFirst();
      // Read before the counts: they can be newer than it says, which costs one read, but never older.
      if (org === undefined || org.revision === revision) return;
      watch.sites = await readHealthOfSites(db.read, { orgIds: [orgId], siteIds: null }, orgId);
      watch.asOf = asOf;
      revision = org.revision;
      // A copy: who is woken may listen again while we tell.
      for (const listener of Array.from(watch.listeners)) listener();
    }

    async function follow(): Promise<void> {
      const stopListening = db.doorbell.on(`org:${orgId}`, () => {
        isRung = true;
        wake();
      });
      const rung = (listener: () => void): (() => void) => {
        wake = listener;
        return () => {
          wake = () => {};
        };
      };
      while (!signal.aborted) {
        if (!isRung) await waitFor(timing, rung, POLL_MS, signal);
        isRung = false;
        // What cannot be read now is read at the next look.
        if (!signal.aborted) await look().catch(() => {});
        await waitFor(timing, () => () => {}, MIN_READ_MS, signal);
      }
      stopListening();
    }

    const watch: Watch = {
      users: 0,
      sites: new Map(),
      asOf: now(),
      listeners: new Set(),
      ready: Promise.resolve().then(look),
      close,
    };
    watch.ready.then(follow, () => {});
    watches.set(orgId, watch);
    return watch;
  }

  function leave(orgId: string, watch: Watch): void {
    watch.users -= 1;
    if (watch.users > 0) return;
    watch.close.abort();
    if (watches.get(orgId) === watch) watches.delete(orgId);
  }

  return {
    async subscribe({ access, orgId, throttleMs, signal }) {
      if (throttleMs < MIN_THROTTLE_MS || throttleMs > MAX_THROTTLE_MS) {
        throw fault('BAD_USER_INPUT', `throttleMs must be ${MIN_THROTTLE_MS} to ${MAX_THROTTLE_MS}.`);
      }
      const isVisible = access.orgIds === 'all' || access.orgIds.includes(orgId);
      // An org that is not visible is as one that does not exist: nothing ever happens there.
      if (!isVisible) return abortable<SiteHealthChange>(signal, (ended) => nothing(timing, ended));
      const watch = watches.get(orgId) ?? open(orgId);
      watch.users += 1;
      try {
        await watch.ready;
      } catch (error) {
        leave(orgId, watch);
        throw error;
      }
      const sees = (siteId: string): boolean => access.siteIds === null || access.siteIds.includes(siteId);
      const given = new Map([...watch.sites].filter(([siteId]) => sees(siteId)));

      const moved = (): readonly SiteHealthChange[] =>
        [...new Set([...given.keys(), ...watch.sites.keys()])].flatMap((siteId) => {
          const health = watch.sites.get(siteId) ?? NO_DEVICES;
          return sees(siteId) && !isEqual(health, given.get(siteId) ?? NO_DEVICES)
            ? { siteId, health, asOf: watch.asOf }
            : [];
        });
      const listen = (listener: () => void): (() => void) => {
        watch.listeners.add(listener);
        return () => {
          watch.listeners.delete(listener);
        };
      };

      let hasLeft = false;
      const leaveOnce = (): void => {
        if (hasLeft) return;
        hasLeft = true;
        signal.removeEventListener('abort', leaveOnce);
        leave(orgId, watch);
      };
      // A stream that is never asked for an item never comes to its end either.
      signal.addEventListener('abort', leaveOnce, { once: true });
      if (signal.aborted) leaveOnce();

      const changes = abortable(signal, async function* (ended): AsyncGenerator<SiteHealthChange, void, void> {
        while (!ended.aborted) {
          const changed = moved();
          if (changed.length === 0) {
            await waitFor(timing, listen, MAX_THROTTLE_MS, ended);
            continue;
          }
          const toldAt = timing.elapsedMs();
          for (const change of changed) {
            if (ended.aborted) return;
            given.set(change.siteId, change.health);
            yield change;
          }
          const restMs = throttleMs - (timing.elapsedMs() - toldAt);
          if (restMs > 0) await waitFor(timing, () => () => {}, restMs, ended);
        }
      });
      const result: AsyncIterableIterator<SiteHealthChange, void, void> = {
        next: () => changes.next(),
        async return() {
          leaveOnce();
          await changes.return?.();
          return { done: true, value: undefined };
        },
        [Symbol.asyncIterator]: () => result,
      };
      return result;
    },
  };
}

function isEqual(a: HealthCounts, b: HealthCounts): boolean {
  return (
    a.total === b.total &&
    a.online === b.online &&
    a.offline === b.offline &&
    a.degraded === b.degraded &&
    a.unknown === b.unknown &&
    a.flapping === b.flapping &&
    a.inMaintenance === b.inMaintenance &&
    a.suppressed === b.suppressed
  );
}

/** For whoever may see no site: open, as any other, and silent. */
async function* nothing(timing: Timing, ended: AbortSignal): AsyncGenerator<never, void, void> {
  while (!ended.aborted) await waitFor(timing, () => () => {}, MAX_THROTTLE_MS, ended);
  yield* [];
}
