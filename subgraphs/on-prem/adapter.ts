import type { Adapter } from '../../adapter-kit/adapter.ts';
import { AdapterError } from '../../adapter-kit/adapter-error.ts';

const DETAIL = 'the adapter on site calls us: deliveries and their signatures show whether it works';

function refuse(): never {
  throw new AdapterError('NOT_SUPPORTED', 'an adapter on site cannot be asked: it pushes its lists and events');
}

/** The side of a connection on which nobody can be called. */
export function createOnPremAdapter(): Adapter {
  return {
    probe: async () => ({
      checks: [{ id: 'event-channel', title: 'Deliveries are awaited', state: 'PASS', detail: DETAIL }],
      accountId: null,
      accountName: null,
    }),
    listSites: async () => refuse(),
    async *listDevices() {
      yield await Promise.reject(
        new AdapterError('NOT_SUPPORTED', 'an adapter on site cannot be asked for its inventory'),
      );
    },
    readDevices: async () => refuse(),
    readPlatform: async () => refuse(),
    pageDevices: async () => refuse(),
    close: () => Promise.resolve(),
  };
}
