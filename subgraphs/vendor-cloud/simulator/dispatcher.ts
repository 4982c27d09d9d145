// Delivers webhooks as vendors do: in order per device and registration, signed anew for each attempt.
import { z } from 'zod';
import {
  createDeliveryQueue,
  type DeliveryQueue,
  QueuedDelivery,
} from '../../../adapter-kit/simulator-kit/delivery-queue.ts';
import type { FaultBoard } from './faults.ts';
import { createRandom } from './random.ts';
import { signatureHeaders } from './signing.ts';
import type { State } from './state.ts';

/** About five minutes with the queue's waits. */
const MAX_ATTEMPTS = 60;

const Delivery = z.object({ ...QueuedDelivery.shape, hookId: z.string(), eventId: z.string() });

export interface Dispatcher extends Pick<DeliveryQueue<unknown>, 'wake' | 'stats' | 'close'> {
  /** To every registration. @param lane deliveries of one lane keep their order */
  dispatch(eventId: string, lane: string, body: string): void;
}

export interface DispatcherParts {
  readonly stateFile: string | null;
  readonly state: State;
  readonly board: FaultBoard;
  readonly seed: number;
  readonly now: () => Date;
}

export function createDispatcher({ stateFile, state, board, seed, now }: DispatcherParts): Dispatcher {
  const random = createRandom(seed ^ 0x5eed);
  const { add, wake, stats, close } = createDeliveryQueue({
    stateFile,
    schema: Delivery,
    faults: () => ({ ...board.faults, attempts: MAX_ATTEMPTS }),
    isHeld: () => board.outage !== null,
    chance: () => random(),
    requestOf({ hookId, eventId, body }) {
      const hook = state.hooks.find(({ id }) => id === hookId);
      if (hook === undefined) return null;
      const seconds = Math.floor(now().getTime() / 1_000);
      const signature = signatureHeaders(hook.profile, hook.secret, eventId, seconds, body);
      return { url: hook.url, headers: { ...signature, 'content-type': 'application/json' } };
    },
  });

  return {
    dispatch(eventId, lane, body) {
      add(state.hooks.map(({ id }) => ({ hookId: id, eventId, lane: `${id} ${lane}`, body, attempts: 0 })));
    },
    wake,
    stats,
    close,
  };
}
