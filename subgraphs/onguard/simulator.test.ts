import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { FilterError, parseFilter } from './simulator/filter.ts';
import { type Rig, startRig } from './testing.ts';

let rig: Rig | undefined;
afterEach(() => rig?.stop());

/** A call as the vendor's own samples make it: everything in the body, underscores in headers. */
async function call(method: string, path: string, body: object = {}, headers: Record<string, string> = {}) {
  const { pathname, origin } = new URL(rig?.simulator.integration.baseUrl ?? '');
  const target = new URL(`${pathname}/${path}`, origin);
  // fetch sends no body with GET: there it goes in the query.
  const isGet = method === 'GET';
  if (isGet) for (const [name, value] of Object.entries(body)) target.searchParams.set(name, String(value));
  const answer = await fetch(target, { method, headers, ...(isGet ? {} : { body: JSON.stringify(body) }) });
  return { status: answer.status, body: Object(await answer.json()) };
}

async function login(): Promise<Record<string, string>> {
  const { username, password } = Object(rig?.simulator.integration.credentials['basic']);
  const application_id = String(rig?.simulator.integration.settings['applicationId']);
  const body = { version: '1.0', application_id, user_name: username, password };
  const answer = await call('POST', 'authentication', body);
  return { application_id, session_token: answer.body.session_token };
}

describe('simulator', () => {
  it('refuses calls without a version, an application id, a session', async () => {
    rig = await startRig();
    expect((await call('GET', 'version')).status).toBe(400);
    const codeOf = async (body: object) => (await call('GET', 'instances', body)).body.error.code;
    expect(await codeOf({ version: '1.0' })).toBe('openaccess.general.invalidapplicationid');
    const { application_id } = await login();
    expect(await codeOf({ version: '1.0', application_id })).toBe('openaccess.general.invalidsessiontoken');
  });

  it('takes credentials from underscore headers, and names in any case', async () => {
    rig = await startRig();
    const headers = await login();
    const query = { version: '1.0', type_name: 'LNL_PANEL', filter: 'id = 1' };
    const { body } = await call('GET', 'instances', query, headers);
    expect(body).toMatchObject({ count: 1, type_name: 'LNL_PANEL', total_items: 1 });
  });

  it('bounds pages, and has no item_list when nothing matches', async () => {
    rig = await startRig();
    const headers = await login();
    const list = (over: object) =>
      call('GET', 'instances', { version: '1.0', type_name: 'Lnl_Panel', ...over }, headers);
    expect((await list({ page_size: 0 })).status).toBe(400);
    expect((await list({ page_size: 101 })).status).toBe(400);
    expect((await list({ filter: 'ID = 99' })).body).not.toHaveProperty('item_list');
  });

  it('refuses a time with Z, and a log without a filter', async () => {
    rig = await startRig();
    const headers = await login();
    const log = (filter: string) => call('GET', 'logged_events', { version: '1.0', filter }, headers);
    expect((await log('timestamp>="2026-11-20T08:00:00Z"')).status).toBe(400);
    expect((await log('timestamp>="2026-11-20T08:00:00+00:00"')).status).toBe(200);
    expect((await log('')).status).toBe(400);
  });

  it('shows a change of truth only after the panel was told to refresh', async () => {
    rig = await startRig();
    const headers = await login();
    const run = async (type_name: string, method_name: string, property_value_map: object) =>
      (await call('POST', 'execute_method', { version: '1.0', type_name, method_name, property_value_map }, headers))
        .body;
    const key = { PanelID: 1, ReaderID: 2 };
    rig.simulator.setState('1-2', 'offline');
    expect(await run('Lnl_Reader', 'GetHardwareStatus', key)).toMatchObject({ out_parameter_value_map: { Status: 1 } });
    await run('Lnl_Panel', 'UpdateHardwareStatus', { ID: 1 });
    expect(await run('Lnl_Reader', 'GetHardwareStatus', key)).toMatchObject({ out_parameter_value_map: { Status: 0 } });
  });

  it('locks an account after five wrong passwords, and ends sessions for inactivity', async () => {
    rig = await startRig();
    const headers = await login();
    rig.advance(15 * 60_000);
    expect((await call('GET', 'keepalive', { version: '1.0' }, headers)).status).toBe(401);
    const { application_id = '' } = headers;
    for (let attempt = 0; attempt < 5; attempt += 1)
      await call('POST', 'authentication', { version: '1.0', application_id, user_name: 'svc-graph', password: 'x' });
    expect((await login())['session_token']).toBeUndefined();
  });

  it('goes on where it was: port, switched devices, subscriptions, log', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onguard-'));
    try {
      const stateFile = join(folder, 'state.json');
      rig = await startRig({ stateFile });
      const { url } = rig.simulator;
      rig.simulator.setState('1-2', 'offline');
      await rig.stop();
      rig = await startRig({ stateFile });
      expect(rig.simulator.url).toBe(url);
      expect(rig.simulator.devices().find(({ nativeId }) => nativeId === '1-2')?.state).toBe('offline');
      const headers = await login();
      const filter = 'controller_id = 1 AND device_id = 2';
      const { body } = await call('GET', 'logged_events', { version: '1.0', filter }, headers);
      expect(body.total_items).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('has codes of its own for every seed', async () => {
    const { createCodeBook } = await import('./simulator/codes.ts');
    const [one, two] = [createCodeBook(1), createCodeBook(2)];
    expect(one.codeOf('Communications Lost')).not.toEqual(two.codeOf('Communications Lost'));
    expect(createCodeBook(1).codeOf('Communications Lost')).toEqual(one.codeOf('Communications Lost'));
  });
});

describe('filter', () => {
  const row = { ID: 5, Name: 'Lobby East', timestamp: '2026-11-20T09:14:02-05:00' };

  it.each([
    ['id = 5', true],
    ['ID <> 5', false],
    ['id=4 OR id=5', true],
    ['id=5 AND name="Lobby"', false],
    ["Name='Lobby East'", true],
    ['name like "Lob%"', true],
    ['(id=4 OR id=5) AND id>=5', true],
    ['timestamp>="2026-11-20T14:14:02+00:00"', true],
    ['timestamp<"2026-11-20T14:14:02+00:00"', false],
    ['', true],
  ])('%s is %s', (filter, isTrue) => {
    expect(parseFilter(filter)(row)).toBe(isTrue);
  });

  it.each(['id =', 'id 5', '= 5', 'nothing = 1', 'id = 5 5', '(id = 5', 'id ~ 5'])('refuses %s', (filter) => {
    expect(() => parseFilter(filter)(row)).toThrow(FilterError);
  });
});
