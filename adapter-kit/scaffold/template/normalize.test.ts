import { describe, expect, it } from 'vitest';
import { normalizeDevice } from './normalize.ts';
import { AcmeVmsDevice } from './wire.ts';

const device = (over: Partial<AcmeVmsDevice>): AcmeVmsDevice =>
  AcmeVmsDevice.parse({ id: 'd1', account: 'a1', site: 's1', label: 'Lobby', kind: 'camera', state: 'up', ...over });

describe('normalizeDevice', () => {
  it.each([
    ['up', 'ONLINE'],
    ['down', 'OFFLINE'],
    ['fault', 'DEGRADED'],
    ['constructor', 'UNKNOWN'],
  ])('reports a device that is %s as %s', (state, expected) => {
    expect(normalizeDevice(device({ state })).status).toMatchObject({ state: expected, vendorState: state });
  });

  it.each([
    ['camera', 'CAMERA'],
    ['door', 'DOOR'],
    ['toaster', 'OTHER'],
  ])('reports a %s as %s', (kind, type) => {
    expect(normalizeDevice(device({ kind }))).toMatchObject({ type, vendorType: kind });
  });
});
