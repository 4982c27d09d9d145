/**
 * Raising events of others at cameras: as user-defined events, whose source is the camera. The platform confirms no place for
 * an id or for metadata of ours, so the type's name is all it can be told, and whether an attempt came through can only be
 * looked up among its stored events, by type, camera and time.
 *
 * @see MIP VMS API, Events REST v1: "Trigger an event"; Config REST v1: userDefinedEvents
 */
import { AdapterError } from '../../adapter-kit/adapter-error.ts';
import type { CustomEventDraft } from '../../adapter-kit/model.ts';
import type { MilestoneClient } from './client.ts';
import { OWN_TYPE_PREFIX } from './event-types.ts';
import { nameOf } from './normalize.ts';
import { isGuid, parseTime } from './wire.ts';

/** Ours: the platform's limit is not documented. */
const MAX_TYPE_NAME = 100;
/** The platform writes its own time: how far its clock may be behind ours. */
const CLOCKS_APART_MS = 60_000;
/** How far back an attempt of a process before us is looked for, at most; the outbox gives up earlier than that. */
const LOOK_BACK_MS = 24 * 3_600_000;
/** Attempts without an answer, and ids of events that are somebody's: the oldest are forgotten beyond it. */
const MAX_REMEMBERED = 10_000;

/** One type per kind of event, so that rules and alarm definitions can be made for it: `Convergraph access.forced_open`. */
export function typeNameOf(type: string): string {
  return `${OWN_TYPE_PREFIX}${type}`.slice(0, MAX_TYPE_NAME).trim();
}

export interface CustomEvents {
  /**
   * Raises the event at the camera, or finds that it was raised before.
   *
   * @returns whether it was there already
   * @throws AdapterError MISCONFIGURED for what is no camera's id, FORBIDDEN for a user that may not
   */
  raise(cameraId: string, draft: CustomEventDraft, signal: AbortSignal): Promise<{ readonly existed: boolean }>;
}

/** Whether the platform may have done what was asked, although we were not told. */
function isUnknown(error: unknown): boolean {
  return error instanceof AdapterError && (error.code === 'TIMEOUT' || error.code === 'UNREACHABLE');
}

export function createCustomEvents(client: MilestoneClient, now: () => Date): CustomEvents {
  const types = new Map<string, Promise<string>>();
  /** When an attempt without an answer began, by its key, in milliseconds. */
  const attempts = new Map<string, number>();
  /** Events that answer to an entry: of two alike at one camera, the other one's is not this one's. */
  const taken = new Set<string>();

  function remember(key: string, at: number): void {
    if (attempts.size >= MAX_REMEMBERED) attempts.delete(attempts.keys().next().value ?? '');
    if (!attempts.has(key)) attempts.set(key, at);
  }

  function settle(key: string, id: string | null): void {
    attempts.delete(key);
    if (id === null) return;
    if (taken.size >= MAX_REMEMBERED) taken.delete(taken.values().next().value ?? '');
    taken.add(id);
  }

  async function findType(name: string, signal: AbortSignal): Promise<string | null> {
    const alike = (await client.userDefinedEvents(signal)).filter(
      (type) => nameOf(type) === name || type.name === name,
    );
    // Should there be two, every process takes the same one.
    return alike.map(({ id }) => id).toSorted()[0] ?? null;
  }

  async function makeType(name: string, signal: AbortSignal): Promise<string> {
    const id = await findType(name, signal);
    if (id !== null) return id;
    try {
      return await client.createUserDefinedEvent(name, signal);
    } catch (error) {
      // Somebody else may have created it meanwhile, or we did and were not told.
      const made = signal.aborted ? null : await findType(name, signal).catch(() => null);
      if (made !== null) return made;
      if (!(error instanceof AdapterError) || error.code !== 'FORBIDDEN') throw error;
      throw new AdapterError('FORBIDDEN', `the user may not create the user-defined event "${name}"`, { cause: error });
    }
  }

  /** Looked for, and created, once for all who want it at the same time; a failure is not kept. */
  async function typeOf(name: string, signal: AbortSignal): Promise<string> {
    const known = types.get(name);
    if (known !== undefined) return known;
    const making = makeType(name, signal);
    types.set(name, making);
    making.catch(() => types.delete(name));
    return making;
  }

  async function find(cameraId: string, typeId: string, since: number, signal: AbortSignal): Promise<string | null> {
    const from = since - CLOCKS_APART_MS;
    const stored = await client.storedEvents(cameraId, new Date(from), signal);
    // A release that does not know a filter would answer with whatever happened anywhere.
    const alike = stored.filter(
      (event) =>
        event.type === typeId &&
        event.sourceId === cameraId &&
        (parseTime(event.time)?.getTime() ?? 0) >= from &&
        !taken.has(event.id),
    );
    return alike.at(-1)?.id ?? null;
  }

  return {
    async raise(nativeId, { idempotencyKey: key, isRepeat, type, occurredAt }, signal) {
      if (!isGuid(nativeId)) throw new AdapterError('MISCONFIGURED', 'a custom event needs a camera');
      const cameraId = nativeId.toLowerCase();
      const name = typeNameOf(type);
      const typeId = await typeOf(name, signal);
      const at = now().getTime();
      if (isRepeat) {
        // An attempt cannot have been before what it tells of.
        const since = attempts.get(key) ?? Math.min(at, Math.max(occurredAt.getTime(), at - LOOK_BACK_MS));
        const before = await find(cameraId, typeId, since, signal);
        if (before !== null) {
          settle(key, before);
          return { existed: true };
        }
      }
      remember(key, at);
      try {
        settle(key, await client.triggerEvent(typeId, `cameras/${cameraId}`, signal));
        return { existed: false };
      } catch (error) {
        if (isUnknown(error) && !signal.aborted) {
          const after = await find(cameraId, typeId, attempts.get(key) ?? at, signal).catch(() => null);
          if (after === null) throw error;
          settle(key, after);
          return { existed: true };
        }
        // The type may have been removed since: looked up again next time.
        types.delete(name);
        if (!isUnknown(error)) attempts.delete(key);
        throw error;
      }
    },
  };
}

/** Whether cameras take events of others: a refusal says no, a call that fails says nothing new. */
export function createCustomEventCheck(client: MilestoneClient): (signal: AbortSignal) => Promise<boolean> {
  let last = true;
  return async (signal) => {
    try {
      last = await client.takesEvents(signal);
    } catch (error) {
      if (!(error instanceof AdapterError) || error.code === 'UNAUTHENTICATED' || signal.aborted) throw error;
    }
    return last;
  };
}
