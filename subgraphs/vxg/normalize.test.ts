import { describe, expect, it } from 'vitest';
import { lacksRecording, normalizeCamera, normalizeServer, normalizeSites, siteIdOf, surround } from './normalize.ts';
import { WireCamera, WireGroup, WireServer } from './wire.ts';

const SETTINGS = { siteGroups: ['900', 'Warehouse'], defaultSiteId: 'default', exposeSourceHost: false };

const camera = (over: Readonly<Record<string, unknown>> = {}): WireCamera =>
  WireCamera.parse({ id: 50_217, name: 'Lobby', status: 'active', rec_mode: 'on', rec_status: 'on', ...over });
const group = (over: Readonly<Record<string, unknown>>): WireGroup => WireGroup.parse({ id: 1, name: 'G', ...over });
const bare = surround(SETTINGS, [], []);

describe('normalizeCamera', () => {
  it.each([
    ['active', 'ONLINE', 'REPORTED'],
    ['unauthorized', 'DEGRADED', 'CREDENTIALS'],
    ['offline', 'OFFLINE', 'REPORTED'],
    ['inactive', 'UNKNOWN', null],
    ['inactive_by_scheduler', 'UNKNOWN', null],
    ['constructor', 'UNKNOWN', null],
  ])('reports a camera that is %s as %s', (status, state, reason) => {
    const expected = { state, reason, vendorState: status, observedAt: null };
    expect(normalizeCamera(camera({ status }), bare).status).toEqual(expected);
  });

  it('says UNKNOWN of a camera without a status', () => {
    expect(normalizeCamera(camera({ status: undefined }), bare).status).toMatchObject({
      state: 'UNKNOWN',
      vendorState: null,
    });
  });

  it("takes a camera's place on the map, and none where nobody put it there", () => {
    const placed = normalizeCamera(camera({ latitude: 43.7, longitude: -79.4 }), bare);
    expect(placed.position).toEqual({ latitude: 43.7, longitude: -79.4 });
    expect(normalizeCamera(camera({ latitude: 0, longitude: 0 }), bare).position).toBeNull();
  });

  it('keeps nothing secret of a record', () => {
    const record = camera({
      url: 'rtsp://viewer:stream-word@10.1.2.3:554/live',
      login: 'viewer',
      password: 'stream-word',
      access_tokens: { all: 'token-word' },
      preview: { url: 'https://media.invalid/x?sig=link-word' },
      meta: { gateway: '', gateway_password: 'gateway-word', gateway_username: 'admin-word', api_token: 'tag-word' },
    });
    const text = JSON.stringify([normalizeCamera(record, bare), { ...record, meta: [...record.meta] }]);
    expect(text).not.toMatch(/-word|viewer|rtsp/);
  });

  it('shows the host of the source only where an operator wants it', () => {
    const open = surround({ ...SETTINGS, exposeSourceHost: true }, [], []);
    const at = (url: string) => normalizeCamera(camera({ url }), open);
    expect(normalizeCamera(camera({ url: 'rtsp://u:p@10.1.2.3/live' }), bare).ip).toBeNull();
    expect(at('rtsp://u:p@10.1.2.3/live')).toMatchObject({ ip: '10.1.2.3', hostname: null });
    expect(at('rtsp://u:p@cam7.example/live')).toMatchObject({ ip: null, hostname: 'cam7.example' });
    expect(at('rtsp://u:p@[2001:db8::7]/live')).toMatchObject({ ip: '2001:db8::7' });
    expect(at('not an address')).toMatchObject({ ip: null, hostname: null });
  });

  it.each([
    ['the id of the gateway', { gateway_cam: '77' }],
    ['the gateway’s tag', { gateway_cam: 'gw-1' }],
    ['a mark beside the tag', { gateway_cam: '', gateway_id: 'gw-1' }],
  ])('finds its gateway by %s', (_, meta) => {
    const gateways = [camera({ id: 77, meta: { gateway: '', gateway_id: 'gw-1' } })];
    expect(normalizeCamera(camera({ meta }), surround(SETTINGS, [], gateways)).parentNativeId).toBe('77');
  });

  it('is a bridge with address where it is a gateway', () => {
    const meta = { gateway: '', gateway_id: 'gw-1', gateway_mac: '02:11:22:33:44:55', gateway_ip: '10.0.0.9' };
    expect(normalizeCamera(camera({ meta }), bare)).toMatchObject({
      type: 'BRIDGE',
      vendorType: 'gateway',
      macAddresses: ['02:11:22:33:44:55'],
      ip: '10.0.0.9',
      parentNativeId: null,
      externalIds: [{ namespace: 'vxg:gateway-id', value: 'gw-1' }],
    });
  });

  it('is degraded when it was seen without its recording again and again', () => {
    const around = { ...bare, notRecording: new Set(['50217']) };
    expect(normalizeCamera(camera(), around).status).toMatchObject({ state: 'DEGRADED', reason: 'OTHER' });
    expect(normalizeCamera(camera({ status: 'offline' }), around).status).toMatchObject({ state: 'OFFLINE' });
  });

  it.each([
    [{ rec_status: 'off' }, true],
    [{ rec_status: undefined, recording: false }, true],
    [{ rec_status: 'on' }, false],
    [{ rec_status: 'off', rec_mode: 'by_event' }, false],
    [{ rec_status: 'off', status: 'offline' }, false],
    [{ rec_status: 'maybe' }, false],
  ])('with %o lacks its recording: %o', (over, expected) => {
    expect(lacksRecording(camera(over))).toBe(expected);
  });

  it('places it by its levels, the largest first', () => {
    const meta = { siteId: '41', location: 'Dock', Zone: 'Z2', Province: 'ON', City: 'North York' };
    expect(normalizeCamera(camera({ meta }), bare).zone).toEqual({ name: 'ON / North York / Z2', kind: 'AREA' });
    const located = normalizeCamera(camera({ meta: { siteId: '41', location: 'Dock' } }), bare);
    expect(located.zone).toEqual({ name: 'Dock', kind: 'AREA' });
  });
});

describe('the site of a camera', () => {
  const groups = [
    group({ id: 1, name: 'Site41', channels: [50_217] }),
    group({ id: 900, name: 'Hall', channels: [50_217] }),
  ];

  it.each([
    ['its tag', { siteId: '41', location: 'Dock' }, groups, '41'],
    ['a group that is a site by id', { location: 'Dock' }, groups, 'group:900'],
    ['a group that is a site by name', {}, [group({ id: 5, name: 'Warehouse', channels: [50_217] })], 'group:5'],
    ['its location', { location: 'Dock' }, [], 'location:Dock'],
    ['nothing', { location: ' ' }, [], 'default'],
  ])('is told by %s', (_, meta, known, expected) => {
    expect(siteIdOf(camera({ meta }), surround(SETTINGS, known, []))).toBe(expected);
  });

  it('is listed with what its cameras and groups say of it', () => {
    const cameras = [
      camera({ id: 1, meta: { siteId: '41' }, latitude: 0, longitude: 0, timezone: 'Mars/Olympus' }),
      camera({ id: 2, meta: { siteId: '41' }, latitude: 43.7, longitude: -79.4, timezone: 'America/Toronto' }),
      camera({ id: 3, meta: { location: 'Dock' } }),
    ];
    const servers = [WireServer.parse({ id: 9, uuid: 'u-1', name: 'CNVR', online: true })];
    const sites = normalizeSites(cameras, servers, groups, surround(SETTINGS, groups, []));
    expect(sites).toMatchObject([
      {
        nativeId: '41',
        name: 'Site41',
        coordinates: { latitude: 43.7, longitude: -79.4 },
        timezone: 'America/Toronto',
        deviceCount: 2,
      },
      { nativeId: 'default', name: 'Default site', deviceCount: 1 },
      { nativeId: 'location:Dock', name: 'Dock', coordinates: null, timezone: null, deviceCount: 1 },
    ]);
  });
});

describe('normalizeServer', () => {
  it.each([
    [true, 'ONLINE'],
    [false, 'OFFLINE'],
    [undefined, 'UNKNOWN'],
  ])('reports a server whose online is %o as %s', (online, state) => {
    const server = WireServer.parse({ id: 9, uuid: 'u-1', name: 'CNVR', online, l_key: 'srv.word', token: 'word' });
    const draft = normalizeServer(server, SETTINGS);
    expect(draft).toMatchObject({ nativeId: 'server:u-1', type: 'RECORDER', status: { state } });
    expect(JSON.stringify(draft)).not.toContain('word');
  });
});
