// The simulated site: what its devices say on their own wires when something happens to them.
import type { OnvifBox } from './onvif-box.ts';
import type { Broker } from './broker.ts';
import type { Edge } from './edge.ts';
import type { FaultBoard } from './faults.ts';
import type { ModbusSlave } from './modbus-slave.ts';
import type { Pusher } from './webhook.ts';
import { PANEL_UNIT, type World, type WorldDevice } from './world.ts';

type Words = { readonly type?: string; readonly state?: string };

export interface SiteParts {
  readonly world: World;
  readonly broker: Broker;
  readonly slave: ModbusSlave;
  readonly box: OnvifBox;
  readonly edge: Edge;
  readonly pusher: Pusher;
  readonly board: FaultBoard;
  readonly now: () => Date;
  readonly switched: Record<string, 'online' | 'offline'>;
  readonly save: () => void;
}

export interface Site {
  devices(): readonly WorldDevice[];
  find(nativeId: string): WorldDevice | undefined;
  stateOf(device: WorldDevice): 'online' | 'offline';
  setState(nativeId: string, state: 'online' | 'offline'): void;
  setWords(nativeId: string, words: Words): void;
  wordOf(device: WorldDevice): string;
  /** Says everything that is retained, as platforms do when they start. */
  announce(): void;
  /** Makes a sensor sense; what depends on its kind. @throws RangeError for one that senses nothing */
  trigger(nativeId: string, isActive: boolean): void;
}

const PRESENCE_WORDS = { tasmota: { online: 'Online', offline: 'Offline' } };

export function createSite(parts: SiteParts): Site {
  const { world, broker, slave, box, edge, pusher, board, now, switched } = parts;
  const devices = new Map(world.devices.map((device) => [device.nativeId, device]));
  const words = new Map<string, Words>();
  let events = 0;

  const stateOf = (device: WorldDevice) => switched[device.nativeId] ?? device.state;
  const wordOf = (device: WorldDevice): string => words.get(device.nativeId)?.state ?? stateOf(device);

  function presence(device: WorldDevice): string {
    return board.current.legacyPresence ? wordOf(device) : JSON.stringify({ state: wordOf(device) });
  }

  function bridgeDevices(base: string): string {
    const coordinator = {
      ieee_address: '0x00124b0000000001',
      type: 'Coordinator',
      friendly_name: 'Coordinator',
      supported: true,
      definition: null,
    };
    const list = world.devices.flatMap((device) => {
      if (device.role.as !== 'zigbee' || device.role.base !== base) return [];
      const { ieee, expose } = device.role;
      const name = words.get(device.nativeId)?.type ?? expose;
      return [
        {
          ieee_address: ieee,
          type: 'EndDevice',
          friendly_name: device.name,
          network_address: 4_711,
          supported: true,
          disabled: false,
          definition: {
            model: `ZB-${expose}`,
            vendor: 'Acme',
            description: 'sensor',
            exposes: [
              { type: 'binary', name, property: name },
              { type: 'numeric', name: 'battery' },
            ],
            options: [],
          },
          power_source: 'Battery',
          software_build_id: '1.0.7',
          interview_completed: true,
        },
      ];
    });
    return JSON.stringify([coordinator, ...list]);
  }

  function push(key: string, type: string, body: Readonly<Record<string, unknown>>): void {
    events += 1;
    const eventId = `${key}-${now().getTime()}-${events}`;
    pusher.send(JSON.stringify({ type, device: key, eventId, time: now().toISOString(), ...body }), {
      'content-type': 'application/json',
    });
  }

  /** Says in the device's own way how it is. */
  function tell(device: WorldDevice): void {
    const { role } = device;
    const isOn = stateOf(device) === 'online';
    switch (role.as) {
      case 'bridge':
        return broker.publish(`${role.base}/bridge/state`, presence(device), { retain: true });
      case 'zigbee':
        return broker.publish(`${role.base}/${device.name}/availability`, presence(device), { retain: true });
      case 'tasmota':
        return broker.publish(
          `tele/${role.topic}/LWT`,
          words.get(device.nativeId)?.state ?? PRESENCE_WORDS.tasmota[stateOf(device)],
          { retain: true },
        );
      case 'frigate':
        return broker.publish(`${role.prefix}/available`, wordOf(device), { retain: true });
      case 'edge':
        return isOn ? edge.birth() : edge.death();
      case 'sparkplug':
        return isOn ? edge.deviceBirth(role.device) : edge.deviceDeath(role.device);
      case 'gateway':
        return slave.setDown(!isOn);
      case 'unit':
        return slave.setUnit(role.unit, isOn);
      case 'push':
        return push(role.key, 'presence', { state: wordOf(device) });
      case 'onvif':
        // It is there or it is not: whoever asks will find out.
        return;
      default:
        return role satisfies never;
    }
  }

  function zigbeeState(expose: string, isActive: boolean): string {
    const value = expose === 'contact' ? !isActive : isActive;
    const battery = board.current.textBattery ? '91.00' : 91;
    return JSON.stringify({ [expose]: value, battery_low: false, battery, linkquality: 84, tamper: false });
  }

  return {
    devices: () => [...devices.values()].map((device) => ({ ...device, state: stateOf(device) })),
    find: (nativeId) => devices.get(nativeId),
    stateOf,
    wordOf,
    setState(nativeId, state) {
      const device = devices.get(nativeId);
      if (device === undefined) throw new RangeError(`there is no device ${nativeId}`);
      if (stateOf(device) === state) return;
      switched[nativeId] = state;
      // At once: a platform that is killed right after it has told somebody must still know it.
      parts.save();
      tell(device);
    },
    setWords(nativeId, said) {
      const device = devices.get(nativeId);
      if (device === undefined) throw new RangeError(`there is no device ${nativeId}`);
      words.set(nativeId, said);
      if (device.role.as === 'zigbee')
        broker.publish(`${device.role.base}/bridge/devices`, bridgeDevices(device.role.base), { retain: true });
      tell(device);
    },
    announce() {
      for (const base of world.bases) broker.publish(`${base}/bridge/devices`, bridgeDevices(base), { retain: true });
      for (const device of world.devices) if (device.role.as !== 'push') tell(device);
      box.notify({ topic: 'Door/State/DoorPhysicalState', source: { DoorToken: 'DOOR_1' }, data: { State: 'Closed' } });
    },
    trigger(nativeId, isActive) {
      const device = devices.get(nativeId);
      if (device === undefined) throw new RangeError(`there is no device ${nativeId}`);
      const { role } = device;
      const at = now().getTime() / 1_000;
      switch (role.as) {
        case 'zigbee':
          return broker.publish(`${role.base}/${device.name}`, zigbeeState(role.expose, isActive));
        case 'tasmota':
          return broker.publish(
            `tele/${role.topic}/SENSOR`,
            JSON.stringify({ Time: '2026-02-04T14:32:00', Switch1: isActive ? 'ON' : 'OFF' }),
          );
        case 'frigate': {
          if (isActive) events += 1;
          const object = {
            id: `${Math.floor(at)}.${events}-seen`,
            camera: 'yard',
            label: 'person',
            score: 0.91,
            top_score: 0.93,
            false_positive: false,
            start_time: at,
            end_time: isActive ? null : at,
            frame_time: at,
            box: [10, 20, 110, 220],
          };
          return broker.publish(
            `${role.prefix}/events`,
            JSON.stringify({ type: isActive ? 'new' : 'end', before: object, after: object }),
          );
        }
        case 'sparkplug':
          return edge.data(role.device, 'Leak', isActive);
        case 'onvif':
          if (isActive)
            box.notify({
              topic: 'AccessControl/Denied/Credential',
              source: { AccessPointToken: 'AP_1' },
              data: { CredentialHolderName: 'Jane Roe', Reason: 'NotPermittedAtThisTime' },
            });
          return box.notify({
            topic: 'Door/State/DoorAlarm',
            source: { DoorToken: 'DOOR_1' },
            data: { State: isActive ? 'DoorForcedOpen' : 'Normal' },
          });
        case 'unit':
          return slave.set(role.unit, 'discrete', role.unit === PANEL_UNIT ? 1 : 0, isActive ? 1 : 0);
        case 'push':
          if (role.kind === 'pos')
            return push(role.key, 'receipt', {
              kind: isActive ? 'void' : 'transaction',
              text: 'COFFEE 2.50\nTOTAL 2.50\nCARD 4111 1111 1111 1111',
              amount: 2.5,
            });
          return push(role.key, 'detection', {
            camera: 'yard',
            object: { label: 'person', score: 0.87, box: [0.1, 0.2, 0.4, 0.9] },
          });
        case 'bridge':
        case 'edge':
        case 'gateway':
          throw new RangeError('a gateway senses nothing');
        default:
          return role satisfies never;
      }
    },
  };
}
