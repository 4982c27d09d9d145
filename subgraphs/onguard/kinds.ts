/**
 * The OnGuard types that hold equipment, as data: how they are named, keyed and nested.
 *
 * @see the DataConduIT class model, which OpenAccess exposes as `Lnl_*` types
 */
import type { DeviceCapability, DeviceType } from '../../schema/words.ts';
import { intOf, type Properties } from './properties.ts';

export type KindName = 'panel' | 'reader' | 'board' | 'input' | 'output' | 'camera';

export interface Kind {
  readonly name: KindName;
  readonly typeName: string;
  readonly type: DeviceType;
  /** Tried in order: releases differ in whether they sort by several names. */
  readonly orderBy: readonly string[];
  /** The property that says which panel it hangs on. */
  readonly panelProperty: string;
  /** What `GetHardwareStatus` of this type answers; null: it is not asked, because it has no word of its own on being online. */
  readonly status: 'panel' | 'reader' | null;
  /** Where it is among the devices of its panel; null when the record does not tell. */
  placeOf(properties: Properties): Place | null;
  readonly capabilities: readonly DeviceCapability[];
}

/** Position of a device in OnGuard's numbering, as events name it. */
export interface Place {
  readonly panelId: number;
  /** 0: the panel itself. */
  readonly deviceId: number;
  /** 0: the device itself. */
  readonly subdeviceId: number;
}

function placed(
  properties: Properties,
  panel: string,
  device: string | null,
  subdevice: string | number | null = null,
): Place | null {
  const panelId = intOf(properties, panel);
  const deviceId = device === null ? 0 : intOf(properties, device);
  const subdeviceId = subdevice === null ? 0 : typeof subdevice === 'number' ? subdevice : intOf(properties, subdevice);
  return panelId === null || deviceId === null || subdeviceId === null ? null : { panelId, deviceId, subdeviceId };
}

function readerPart(name: 'input' | 'output', number: number): Kind {
  const isInput = name === 'input';
  return {
    name,
    typeName: `Lnl_Reader${isInput ? 'Input' : 'Output'}${number}`,
    type: isInput ? 'INPUT' : 'OUTPUT',
    orderBy: ['PanelID,ReaderID', 'PanelID'],
    panelProperty: 'PanelID',
    status: null,
    placeOf: (properties) => placed(properties, 'PanelID', 'ReaderID', number),
    capabilities: isInput ? ['EMITS_ALARM'] : [],
  };
}

/** OnGuard has no doors: a reader is its access point, and is listed as one. */
export const KINDS: readonly Kind[] = [
  {
    name: 'panel',
    typeName: 'Lnl_Panel',
    // What it is says its PanelType.
    type: 'CONTROLLER',
    orderBy: ['ID'],
    panelProperty: 'ID',
    status: 'panel',
    placeOf: (properties) => placed(properties, 'ID', null),
    capabilities: ['EMITS_HEALTH', 'EMITS_ALARM'],
  },
  {
    name: 'reader',
    typeName: 'Lnl_Reader',
    type: 'DOOR',
    orderBy: ['PanelID,ReaderID', 'PanelID'],
    panelProperty: 'PanelID',
    status: 'reader',
    placeOf: (properties) => placed(properties, 'PanelID', 'ReaderID'),
    capabilities: ['EMITS_HEALTH', 'EMITS_ALARM', 'EMITS_ACCESS'],
  },
  {
    name: 'board',
    typeName: 'Lnl_AlarmPanel',
    type: 'BRIDGE',
    orderBy: ['PanelID,ID', 'PanelID'],
    panelProperty: 'PanelID',
    status: 'panel',
    placeOf: (properties) => placed(properties, 'PanelID', 'ID'),
    capabilities: ['EMITS_HEALTH', 'EMITS_ALARM'],
  },
  {
    name: 'input',
    typeName: 'Lnl_AlarmInput',
    type: 'INPUT',
    orderBy: ['ID'],
    panelProperty: 'PanelID',
    status: null,
    placeOf: (properties) => placed(properties, 'PanelID', 'AlarmPanelID', 'InputID'),
    capabilities: ['EMITS_ALARM'],
  },
  {
    name: 'output',
    typeName: 'Lnl_AlarmOutput',
    type: 'OUTPUT',
    orderBy: ['ID'],
    panelProperty: 'PanelID',
    status: null,
    placeOf: (properties) => placed(properties, 'PanelID', 'AlarmPanelID', 'OutputID'),
    capabilities: [],
  },
  readerPart('input', 1),
  readerPart('input', 2),
  readerPart('output', 1),
  readerPart('output', 2),
  {
    name: 'camera',
    typeName: 'Lnl_Camera',
    type: 'CAMERA',
    orderBy: ['ID'],
    panelProperty: 'PanelID',
    status: null,
    placeOf: (properties) => placed(properties, 'PanelID', 'ID'),
    capabilities: ['EMITS_VIDEO'],
  },
];

/** Every panel of OnGuard is a `Lnl_Panel`, whatever it controls; the first pattern that its PanelType fits decides. */
const PANEL_TYPES: readonly (readonly [RegExp, DeviceType])[] = [
  [/logical source|opc|snmp|software/i, 'SERVER'],
  [/recorder|nvr|dvr|video/i, 'RECORDER'],
  [/intercom|zenitel|stentofon|commend|aiphone/i, 'INTERCOM'],
  [/fire|notifier|simplex|esser/i, 'PANEL'],
  [/intrusion|burglar|galaxy|bosch|honeywell|dmp|detection systems|alarm receiver/i, 'PANEL'],
  [/^lnl-?\w+|^ngp|^isc|^ep1501|^m-?[25]|mercury|access|controller/i, 'CONTROLLER'],
];

/** `OTHER` for a PanelType that is new. */
export function panelTypeOf(word: string): DeviceType {
  return PANEL_TYPES.find(([pattern]) => pattern.test(word))?.[1] ?? 'OTHER';
}

/** The native id of a device: its numbers, so that an event's numbers lead to it without asking anybody. */
export function nativeIdOf(kind: KindName, { panelId, deviceId, subdeviceId }: Place): string {
  if (kind === 'camera') return `camera-${panelId}-${deviceId}`;
  if (kind === 'panel' || deviceId === 0) return String(panelId);
  const device = `${panelId}-${deviceId}`;
  if (subdeviceId === 0) return device;
  return `${device}-${kind === 'output' ? 'o' : 'i'}${subdeviceId}`;
}

/** A board whose number a reader of the same panel has too: events name the number only, and mean the reader. */
export const BOARD_SUFFIX = '-board';

const NATIVE_ID = /^(?:(camera)-)?(\d{1,10})(?:-(\d{1,10})(?:-([io])(\d{1,10})|(-board))?)?$/;

/** What a native id says; null for one that is none of ours. */
export function parseNativeId(
  nativeId: string,
): { readonly panelId: number; readonly kinds: readonly KindName[] } | null {
  const match = NATIVE_ID.exec(nativeId);
  if (match === null) return null;
  const [, camera, panel, device, part, , board] = match;
  const panelId = Number(panel);
  if (camera !== undefined) return { panelId, kinds: ['camera'] };
  if (device === undefined) return { panelId, kinds: ['panel'] };
  if (part !== undefined) return { panelId, kinds: [part === 'o' ? 'output' : 'input'] };
  return { panelId, kinds: board === undefined ? ['reader', 'board'] : ['board'] };
}
