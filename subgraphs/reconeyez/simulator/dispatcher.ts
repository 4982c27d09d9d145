// Delivers events to our address: in order per device, again and again until they are taken or given up.
import { z } from 'zod';
import {
  createDeliveryQueue,
  type DeliveryQueue,
  QueuedDelivery,
} from '../../../adapter-kit/simulator-kit/delivery-queue.ts';
import type { FaultBoard } from './faults.ts';
import type { State } from './state.ts';
import { chance } from './world.ts';

const Delivery = z.object({ ...QueuedDelivery.shape, id: z.string() });

export interface Dispatcher extends Pick<DeliveryQueue<unknown>, 'wake' | 'stats' | 'close'> {
  /** @param lane deliveries of one lane keep their order */
  dispatch(id: string, lane: string, body: string): void;
}

export interface DispatcherParts {
  readonly stateFile: string | null;
  readonly state: State;
  readonly board: FaultBoard;
  readonly seed: number;
}

export function createDispatcher({ stateFile, state, board, seed }: DispatcherParts): Dispatcher {
  const { add, lose, wake, stats, close } = createDeliveryQueue({
    stateFile,
    schema: Delivery,
    faults: () => board.faults,
    isHeld: () => board.outage !== null || state.hook === null,
    chance: ({ id }, what) => chance(seed, `${what} ${id}`),
    requestOf: () =>
      state.hook === null
        ? null
        : {
            url: `${state.hook.url}/${encodeURIComponent(state.hook.secret)}`,
            headers: { 'content-type': board.faults.contentType },
          },
  });

  return {
    dispatch(id, lane, body) {
      const isLost = board.faults.dropWebhooks || board.outage?.webhooks === 'lose' || state.hook === null;
      if (isLost) lose();
      else add([{ id, lane, body, attempts: 0 }]);
    },
    wake,
    stats,
    close,
  };
}
