import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { InstanceQuery, OnGuardClient } from './client.ts';
import { createInventoryReader, withoutClashes } from './inventory.ts';
import { KINDS, panelTypeOf, parseNativeId } from './kinds.ts';
import { propertiesOf } from './properties.ts';
import { OnGuardSettings } from './settings.ts';
import { createPace } from './statuses.ts';
import type { WirePage } from './wire.ts';

const signal = new AbortController().signal;

function readerOf(answer: (query: InstanceQuery) => WirePage) {
  const asked: InstanceQuery[] = [];
  const client: Pick<OnGuardClient, 'instances' | 'isSegmented'> = {
    isSegmented: () => Promise.resolve(false),
    instances(query) {
      asked.push(query);
      return Promise.resolve(answer(query));
    },
  };
  const settings = OnGuardSettings.parse({ applicationId: 'A' });
  const reader = createInventoryReader(client as OnGuardClient, settings, pino({ level: 'silent' }));
  return { reader, asked };
}

const kindOf = (typeName: string) => {
  const kind = KINDS.find((each) => each.typeName === typeName);
  if (kind === undefined) throw new Error(`no kind ${typeName}`);
  return kind;
};

const panels = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => propertiesOf({ ID: from + index, Name: 'P' }));

describe('inventory reader', () => {
  it('reads a list that changes under it again, and trusts the second reading', async () => {
    const { reader, asked } = readerOf(({ page }) => {
      const isFirstReading = asked.length <= 2;
      const total = isFirstReading && page === 2 ? 149 : 150;
      return { items: page === 1 ? panels(1, 100) : panels(101, total), total };
    });
    const { instances, total } = await reader.all(kindOf('Lnl_Panel'), signal);
    expect([instances.length, total, asked.length]).toEqual([150, 150, 4]);
  });

  it('gives up reading again after three times, and leaves the total to tell that it is not complete', async () => {
    const { reader, asked } = readerOf(({ page }) => ({
      items: page === 1 ? panels(1, 100) : panels(101, 110),
      total: 110 + asked.length,
    }));
    const { instances, total } = await reader.all(kindOf('Lnl_Panel'), signal);
    expect(asked.length).toBe(6);
    expect(total).not.toBe(instances.length);
  });

  it('takes a device that moved to the next page for one device', async () => {
    const { reader } = readerOf(({ page }) => ({ items: page === 1 ? panels(1, 100) : panels(100, 120), total: 120 }));
    expect((await reader.all(kindOf('Lnl_Panel'), signal)).instances).toHaveLength(120);
  });

  it('walks to the first short page where the platform tells no total', async () => {
    const { reader } = readerOf(({ page }) => ({
      items: page < 3 ? panels(page * 100, page * 100 + 99) : [],
      total: null,
    }));
    expect(await reader.all(kindOf('Lnl_Panel'), signal)).toMatchObject({ instances: { length: 200 }, total: null });
  });

  it('refuses a list without an end', async () => {
    const { reader } = readerOf(() => ({ items: panels(1, 100), total: 100_001 }));
    await expect(reader.all(kindOf('Lnl_Panel'), signal)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('rejects an object without its key, and keeps the others', async () => {
    const { reader } = readerOf(() => ({ items: [propertiesOf({ Name: 'x' }), ...panels(1, 2)], total: 3 }));
    const list = await reader.all(kindOf('Lnl_Panel'), signal);
    expect([list.instances.length, list.rejected.length]).toEqual([2, 1]);
  });

  it('asks for the devices of twenty panels at once', async () => {
    const { reader, asked } = readerOf(() => ({ items: [], total: 0 }));
    const ids = Array.from({ length: 45 }, (_, index) => index + 1);
    await reader.ofPanels(kindOf('Lnl_Reader'), ids, signal);
    expect(asked.map(({ filter }) => filter?.split(' OR ').length)).toEqual([20, 20, 5]);
    expect(asked[0]?.filter).toMatch(/^PanelID = 1 OR PanelID = 2 /);
  });
});

describe('native ids', () => {
  it('of a board whose number a reader has too are its own', () => {
    const instance = (typeName: string, nativeId: string) => ({
      kind: kindOf(typeName),
      nativeId,
      place: { panelId: 1, deviceId: 3, subdeviceId: 0 },
      properties: propertiesOf({}),
    });
    const boards = [instance('Lnl_AlarmPanel', '1-3'), instance('Lnl_AlarmPanel', '1-4')];
    const ids = withoutClashes(boards, [instance('Lnl_Reader', '1-3')]).map(({ nativeId }) => nativeId);
    expect(ids).toEqual(['1-3-board', '1-4']);
  });

  it.each([
    ['5', { panelId: 5, kinds: ['panel'] }],
    ['5-3', { panelId: 5, kinds: ['reader', 'board'] }],
    ['5-3-board', { panelId: 5, kinds: ['board'] }],
    ['5-66-i2', { panelId: 5, kinds: ['input'] }],
    ['5-66-o2', { panelId: 5, kinds: ['output'] }],
    ['camera-5-7', { panelId: 5, kinds: ['camera'] }],
    ['5-3-x1', null],
    ['5 OR 1=1', null],
    ['99999999999', null],
  ])('say where a device is: %s', (nativeId, parsed) => {
    expect(parseNativeId(nativeId)).toEqual(parsed);
  });
});

describe('panel types', () => {
  it.each([
    ['LNL-4420', 'CONTROLLER'],
    ['Logical Source', 'SERVER'],
    ['Lenel NVR', 'RECORDER'],
    ['Bosch D9412', 'PANEL'],
    ['Notifier AM2020', 'PANEL'],
    ['Stentofon', 'INTERCOM'],
    ['constructor', 'OTHER'],
  ])('take %s for a %s', (word, type) => {
    expect(panelTypeOf(word)).toBe(type);
  });
});

describe('createPace', () => {
  it('lets calls go out one after another', async () => {
    const pace = createPace(200);
    const startedAt = performance.now();
    await Promise.all([1, 2, 3].map(async () => pace?.(signal)));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(9);
  });

  it('is none without a limit', () => {
    expect(createPace(0)).toBeUndefined();
  });
});
