/**
 * ONVIF events to readings: one table for pull-points and for events over a broker. Topics are without `tns1:`.
 *
 * @see ONVIF Core, DeviceIO, Imaging, Analytics, Access Control and Door Control Service Specifications, "Events"
 */
import type { Reading } from '../reading.ts';
import type { OnvifItems } from '../wire.ts';
import type { Signal } from '../words.ts';

export interface OnvifMessage {
  readonly topic: string;
  readonly at: Date | null;
  readonly isInitial: boolean;
  readonly source: OnvifItems;
  readonly data: OnvifItems;
}

interface TopicRule {
  readonly signal: Signal;
  /** Data item that decides; absent: that it came is what happened. */
  readonly item?: string;
  /** Its values in lower case to ours; a boolean item needs none. */
  readonly values?: Readonly<Record<string, string>>;
  /** The value when there is no item, or an item that no `values` has. */
  readonly value?: string;
}

const FLAG: Readonly<Record<string, string>> = { true: 'active', '1': 'active', false: 'clear', '0': 'clear' };
const flag = (signal: Signal, item: string): TopicRule => ({ signal, item, values: FLAG });
const access = (value: string): TopicRule => ({ signal: 'access', value });
const detection: TopicRule = { signal: 'detection', value: 'detected' };

/** A topic is looked up whole, then without its last level, and so on: producers and variants are appended to it. */
export const TOPICS: ReadonlyMap<string, TopicRule> = new Map<string, TopicRule>([
  ['Device/Trigger/DigitalInput', flag('alarm', 'LogicalState')],
  ['VideoSource/MotionAlarm', flag('alarm', 'State')],
  ['RuleEngine/CellMotionDetector/Motion', flag('alarm', 'IsMotion')],
  ['RuleEngine/MotionRegionDetector/Motion', flag('alarm', 'State')],
  ['RuleEngine/FieldDetector/ObjectsInside', flag('alarm', 'IsInside')],
  ['RuleEngine/LineDetector/Crossed', detection],
  ['RuleEngine/LoiteringDetector/ObjectIsLoitering', detection],
  ['RuleEngine/ObjectDetection/Object', detection],
  ['RuleEngine/ObjectAbandoned', detection],
  ['RuleEngine/ObjectRemoved', detection],
  ['RuleEngine/Recognition', detection],
  ['RuleEngine/AudioDetector/Class', detection],
  // An image that is obscured by smoke or warm is no fire alarm: nobody certified the camera for that.
  ['RuleEngine/Radiometry/TemperatureAlarm', flag('supervisory', 'AlarmActive')],
  ['VideoSource/SignalLoss', flag('trouble', 'State')],
  ['VideoSource/GlobalSceneChange', flag('tamper', 'State')],
  ['VideoSource/ImageTooDark', flag('trouble', 'State')],
  ['VideoSource/ImageTooBright', flag('trouble', 'State')],
  ['VideoSource/ImageTooBlurry', flag('trouble', 'State')],
  ['VideoSource/ImpairedVisibility', flag('trouble', 'State')],
  [
    'Door/State/DoorAlarm',
    {
      signal: 'access',
      item: 'State',
      values: {
        normal: 'normal',
        doorforcedopen: 'forced',
        dooropentoolong: 'held',
        notintamper: 'normal',
        tamperdetected: 'forced',
      },
    },
  ],
  ['Door/State/DoorPhysicalState', { signal: 'access', item: 'State', values: { open: 'opened', closed: 'closed' } }],
  [
    'Door/State/LockPhysicalState',
    { signal: 'access', item: 'State', values: { locked: 'locked', unlocked: 'unlocked' } },
  ],
  [
    'Door/State/DoorTamper',
    { signal: 'tamper', item: 'State', values: { tamperdetected: 'active', notintamper: 'clear' } },
  ],
  [
    'Door/State/DoorFault',
    { signal: 'trouble', item: 'State', values: { faultdetected: 'active', notinfault: 'clear' } },
  ],
  ['AccessControl/AccessGranted', access('granted')],
  ['AccessControl/AccessTaken', access('taken')],
  ['AccessControl/AccessNotTaken', access('not_taken')],
  ['AccessControl/Denied', access('denied')],
  ['AccessControl/Duress', access('duress')],
  ['Device/HardwareFailure/StorageFailure', flag('trouble', 'Failed')],
  ['Device/HardwareFailure/PowerSupplyFailure', flag('trouble', 'Failed')],
  ['Device/HardwareFailure/FanFailure', flag('trouble', 'Failed')],
  ['Device/HardwareFailure/TemperatureCritical', flag('trouble', 'Critical')],
]);

/** Items that name people or their cards. */
const PERSONAL: ReadonlySet<string> = new Set(['CredentialHolderName', 'CredentialToken', 'IdentifierValue']);
const MAX_DEPTH = 8;

export interface OnvifDevice {
  readonly nativeId: string;
  readonly inputActiveWhen: boolean;
  readonly keepPersonalData: boolean;
}

function ruleOf(topic: string): { readonly rule: TopicRule; readonly name: string } | null {
  const levels = topic
    .split('/')
    .map((level) => level.replace(/^tns1:/, ''))
    .slice(0, MAX_DEPTH);
  for (let length = levels.length; length > 0; length -= 1) {
    const name = levels.slice(0, length).join('/');
    const rule = TOPICS.get(name);
    if (rule !== undefined) return { rule, name };
  }
  return null;
}

/** Without `Z` it is UTC, too: some devices leave it out. Null: it cannot be read. */
export function parseUtc(text: string | undefined): Date | null {
  if (text === undefined) return null;
  const at = new Date(/(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`);
  return Number.isNaN(at.getTime()) ? null : at;
}

/** @returns null for a topic that means nothing to us, or a value that means nothing in it */
export function readOnvif(device: OnvifDevice, { topic, at, isInitial, source, data }: OnvifMessage): Reading | null {
  const found = ruleOf(topic);
  if (found === null) return null;
  const { rule, name } = found;
  const said = rule.item === undefined ? null : (data[rule.item] ?? null);
  const word = said === null ? topic : `${name}:${String(said)}`;
  let value =
    rule.item === undefined || said === null ? rule.value : (rule.values?.[String(said).toLowerCase()] ?? rule.value);
  if (value === undefined) return null;
  if (name === 'Device/Trigger/DigitalInput' && !device.inputActiveWhen)
    value = value === 'active' ? 'clear' : 'active';
  const keep = (items: OnvifItems): OnvifItems =>
    device.keepPersonalData ? items : Object.fromEntries(Object.entries(items).filter(([item]) => !PERSONAL.has(item)));
  const text = (item: string): string | undefined => {
    const given = data[item];
    return typeof given === 'string' && given !== '' ? given.slice(0, 200) : undefined;
  };
  const person = device.keepPersonalData ? text('CredentialHolderName') : undefined;
  const label =
    rule.signal === 'detection' ? (text('ClassTypes') ?? text('Name') ?? name.split('/').at(-1) ?? name) : undefined;
  const likelihood = Number(data['Likelihood'] ?? Number.NaN);
  return {
    nativeId: device.nativeId,
    point: Object.values(source).map(String).join('/').slice(0, 300) || name,
    signal: rule.signal,
    value,
    word: word.slice(0, 200),
    occurredAt: at,
    isInitial,
    metadata: { topic, source: keep(source), data: keep(data) },
    ...(label === undefined
      ? {}
      : { actor: { kind: label, confidence: Number.isFinite(likelihood) ? likelihood : null } }),
    ...(person === undefined ? {} : { personName: person }),
  };
}
