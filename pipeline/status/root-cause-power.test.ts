import { describe, expect, it } from 'vitest';
import { findStorm, isPowerBack, powerWordOf, type SiteMember, STORM_WINDOW_MS } from './root-cause-power.ts';

const T = Date.UTC(2026, 10, 20, 12);

function device(id: string, over: Partial<SiteMember> = {}): SiteMember {
  return {
    id,
    parentId: null,
    siteId: 'site',
    integrationId: 'int_a',
    state: 'ONLINE',
    reason: null,
    since: T - 86_400_000,
    lastSeenAt: null,
    isFlapping: false,
    suppressedBy: null,
    incidentId: null,
    ...over,
  };
}

function devices(count: number, name: string, over: Partial<SiteMember> = {}): SiteMember[] {
  return Array.from({ length: count }, (_, at) => device(`${name}${at}`, over));
}

const down = (since = T): Partial<SiteMember> => ({ state: 'OFFLINE', since });

describe('a power cut', () => {
  it('is most of a site falling at once over several platforms', () => {
    const site = [
      ...devices(100, 'a', down()),
      ...devices(60, 'b', { ...down(T + 30_000), integrationId: 'int_b' }),
      ...devices(40, 'c', { integrationId: 'int_c' }),
    ];
    expect(findStorm(site, T + 60_000)).toMatchObject({ since: T });
    expect(findStorm(site, T + 60_000)?.fallen).toHaveLength(160);
  });

  it('is seen when platforms say of some devices only that they are out of reach', () => {
    const gone = { state: 'UNKNOWN', reason: 'PARENT_DOWN', since: T } as const;
    const recorder = device('rec', down());
    const site = [
      recorder,
      ...devices(20, 'cam', { ...gone, parentId: 'rec' }),
      ...devices(6, 'door', { ...down(), integrationId: 'int_b' }),
    ];
    expect(findStorm(site, T)?.fallen).toHaveLength(27);
  });

  it('is not one dead recorder, even when all of the site hangs on it', () => {
    const dead = [device('rec', down()), ...devices(64, 'cam', { ...down(), parentId: 'rec' })];
    expect(findStorm(dead, T)).toBeNull();
    expect(findStorm([...dead, ...devices(30, 'door', { integrationId: 'int_b' })], T)).toBeNull();
  });

  it('is not one dead recorder and one camera that fails beside it', () => {
    const site = [
      device('rec', down()),
      ...devices(64, 'cam', { ...down(), parentId: 'rec' }),
      device('door', { ...down(), integrationId: 'int_b' }),
      ...devices(9, 'other', { integrationId: 'int_b' }),
    ];
    expect(findStorm(site, T)).toBeNull();
  });

  it('is all of a site with one platform falling at once', () => {
    expect(findStorm(devices(5, 'cam', down()), T)?.fallen).toHaveLength(5);
    expect(findStorm(devices(4, 'cam', down()), T)).toBeNull();
    expect(findStorm([...devices(9, 'cam', down()), device('up')], T)).toBeNull();
  });

  it('is not a site that decays over an hour', () => {
    const site = Array.from({ length: 40 }, (_, at) =>
      device(`d${at}`, { ...down(T - at * STORM_WINDOW_MS), integrationId: at % 2 === 0 ? 'int_a' : 'int_b' }),
    );
    expect(findStorm(site, T)).toBeNull();
  });

  it('does not count what nobody could see before, nor what was down already', () => {
    const site = [
      ...devices(50, 'never', { state: 'UNKNOWN' }),
      ...devices(50, 'old', down(T - 3_600_000)),
      ...devices(3, 'a', down()),
      ...devices(3, 'b', { ...down(), integrationId: 'int_b' }),
    ];
    expect(findStorm(site, T)?.fallen).toHaveLength(6);
  });

  it('survives circles of parents', () => {
    const circle = [device('a', { ...down(), parentId: 'b' }), device('b', { ...down(), parentId: 'a' })];
    expect(findStorm([...circle, ...devices(8, 'c', { ...down(), integrationId: 'int_b' })], T)).not.toBeNull();
  });
});

describe('the end of a power cut', () => {
  it('is told by who told of its beginning', () => {
    expect(isPowerBack({ lost: ['panel'], wasTold: true }, 0, 10)).toBe(false);
    expect(isPowerBack({ lost: [], wasTold: true }, 10, 10)).toBe(true);
  });

  it('is most devices being back where nobody tells', () => {
    expect(isPowerBack({ lost: [], wasTold: false }, 41, 100)).toBe(false);
    expect(isPowerBack({ lost: [], wasTold: false }, 40, 100)).toBe(true);
  });
});

describe('what an event says about mains power', () => {
  it.each([
    ['alarm.power_lost', null, 'BRIDGE', 'LOST'],
    ['alarm.power_restored', null, 'PANEL', 'RESTORED'],
    ['alarm.power_lost', null, 'DETECTOR', null],
    ['alarm.trouble', 'ac_loss', 'PANEL', 'LOST'],
    ['alarm.trouble', 'Power Failure', 'CONTROLLER', 'LOST'],
    ['alarm.trouble', 'low_battery', 'PANEL', null],
    ['alarm.trouble_restored', 'ac_restored', 'PANEL', 'RESTORED'],
    ['alarm.intrusion', 'ac_loss', 'PANEL', null],
  ] as const)('%s of %s at a %s is %s', (type, vendorCode, deviceType, word) => {
    expect(powerWordOf({ type, vendorCode, deviceType })).toBe(word);
  });
});
