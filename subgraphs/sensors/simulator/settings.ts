// What an operator would type to connect to the simulated site.
import { EDGE, GROUP, LEAK_UNIT, PANEL_UNIT, type World } from './world.ts';

const bit = (name: string, address: number, signal: string) => ({ name, table: 'discrete', address, signal });

/** Registers of the fire panel and the leak controller; bits stand next to each other, as they do in real maps. */
export const PANEL = [
  bit('zone-1', 0, 'alarm'),
  bit('zone-2', 1, 'alarm'),
  bit('fault', 2, 'trouble'),
  bit('supervisory', 3, 'supervisory'),
  bit('test', 4, 'test'),
  { name: 'loop-current', table: 'input', address: 10, type: 'u16', scale: 0.1, signal: 'value' },
];
const LEAK = [bit('probe-1', 0, 'alarm'), bit('cable-break', 1, 'trouble')];

const camera = (name: string) => ({ namespace: 'serial', value: name, name });

export function settingsOf(
  world: World,
  ports: { readonly http: number; readonly modbus: number },
): Record<string, unknown> {
  const has = (nativeId: string): boolean => world.devices.some((device) => device.nativeId === nativeId);
  const siteOf = (nativeId: string): string =>
    world.devices.find((device) => device.nativeId === nativeId)?.siteId ?? 'site-1';
  const host = '127.0.0.1';
  const sources: object[] = [
    {
      id: 'broker',
      name: 'Site broker',
      protocol: 'mqtt',
      allowRebirth: true,
      zigbee2mqtt: world.bases.map((base, index) => ({ base, site: `site-${index + 1}` })),
      ...(has('broker/dock-pir') ? { tasmota: [{}] } : {}),
      ...(has('broker/frigate') ? { frigate: [{ site: siteOf('broker/frigate') }] } : {}),
      ...(has(`broker/${GROUP}/${EDGE}`)
        ? { sparkplug: [{ group: GROUP, edges: [EDGE], site: siteOf(`broker/${GROUP}/${EDGE}`) }] }
        : {}),
    },
  ];
  const sensors: object[] = [];
  if (has('controller')) {
    sources.push({
      id: 'controller',
      name: 'Access controller',
      protocol: 'onvif',
      host,
      port: ports.http,
      kind: 'access',
      site: siteOf('controller'),
    });
    sensors.push({
      source: 'controller',
      address: 'device',
      kind: 'access',
      zone: 'Main entrance',
      cameras: [camera('lobby-camera')],
    });
  }
  if (has('modbus')) {
    sources.push({
      id: 'modbus',
      name: 'Fire gateway',
      protocol: 'modbus',
      host,
      port: ports.modbus,
      pollMs: 100,
      site: siteOf('modbus'),
    });
    sensors.push({
      source: 'modbus',
      address: String(PANEL_UNIT),
      name: 'Fire panel',
      kind: 'fire',
      registers: PANEL,
      cameras: [camera('lobby-camera')],
    });
    sensors.push({
      source: 'modbus',
      address: String(LEAK_UNIT),
      name: 'Leak controller',
      kind: 'water',
      registers: LEAK,
    });
  }
  if (has('push/till-1')) {
    const base = { sensor: 'device', id: 'eventId', occurredAt: 'time' };
    sources.push({
      id: 'push',
      name: 'Tills and vision',
      protocol: 'http',
      host,
      port: ports.http,
      site: siteOf('push/till-1'),
      status: { path: '/push/status', items: 'devices', sensor: 'id', state: 'state', kind: 'kind' },
      templates: [
        { ...base, when: { type: 'presence' }, signal: 'presence', value: 'state' },
        { ...base, when: { type: 'receipt' }, signal: 'pos', value: 'kind', text: 'text' },
        {
          ...base,
          when: { type: 'detection' },
          signal: 'detection',
          label: 'object.label',
          score: 'object.score',
          box: 'object.box',
          point: 'camera',
        },
      ],
      textRules: [
        { contains: 'VOID', value: 'void' },
        { contains: 'NO SALE', value: 'no_sale' },
        { contains: 'REFUND', value: 'refund' },
      ],
    });
    sensors.push({ source: 'push', address: 'till-1', name: 'Till 1', kind: 'pos', cameras: [camera('till-camera')] });
    sensors.push({
      source: 'push',
      address: 'vision-1',
      name: 'Vision server',
      kind: 'ai',
      cameras: [camera('yard-camera')],
    });
  }
  if (has('broker/frigate'))
    sensors.push({
      source: 'broker',
      address: 'frigate',
      name: 'Frigate',
      kind: 'ai',
      cameras: [camera('yard-camera')],
    });
  if (has(`broker/${GROUP}/${EDGE}`))
    sensors.push({
      source: 'broker',
      address: `${GROUP}/${EDGE}/cable-1`,
      name: 'Leak cable 1',
      kind: 'water',
      site: siteOf(`broker/${GROUP}/${EDGE}`),
    });
  if (has('broker/dock-pir'))
    sensors.push({
      source: 'broker',
      address: 'dock-pir',
      name: 'Dock PIR',
      kind: 'motion',
      site: siteOf('broker/dock-pir'),
      switches: [{ key: 'Switch1' }],
    });
  const [leaf] = world.devices;
  if (leaf?.role.as === 'zigbee')
    sensors.push({
      source: 'broker',
      address: leaf.role.ieee,
      zone: 'Kitchen',
      cameras: [camera('kitchen-camera'), camera('hall-camera')],
    });
  const sites = world.sites.map(({ id, name, address, timezone }) => ({ id, name, address, timezone }));
  return { sites, sources, sensors };
}
